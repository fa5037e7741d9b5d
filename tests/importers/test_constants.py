"""What is computed ahead, and what must not be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx_graphs
from onnx_graphs import ints, tensor
from shoestring.importers import constants
from shoestring.importers.onnx_child import normalise

if TYPE_CHECKING:
    from pathlib import Path


def left(nodes: list[Any], weights: list[Any], folder: Path, **graph: Any) -> tuple[list[str], dict[str, Any]]:
    source = onnx_graphs.save(onnx_graphs.model(nodes, weights, **graph), folder / "in.onnx")
    reply = normalise({"source": str(source), "target": str(folder / "out.onnx"), "batch_free": True, "shapes": {}})
    return [node.op_type for node in onnx.load(folder / "out.onnx").graph.node], reply


def test_shapes_of_static_tensors_are_constants(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"], start=1),
        helper.make_node("ReduceProd", ["s"], ["count"], keepdims=1),
        helper.make_node("Concat", ["minus", "count"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"]),
    ]
    operators, reply = left(nodes, [ints("minus", -1)], tmp_path, outputs=[onnx_graphs.floats("y", None, None)])
    assert operators == ["Reshape"]
    assert reply["outputs"][0]["shape"] == [None, 192]


def test_scalars_stay_scalars(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["one", "one"], ["two"]),
        helper.make_node("Gather", ["x", "two"], ["y"], axis=1),
    ]
    operators, reply = left(
        nodes, [tensor("one", np.int64(1))], tmp_path, outputs=[onnx_graphs.floats("y", None, None, None)]
    )
    assert operators == ["Gather"]
    assert reply["outputs"][0]["shape"] == [None, 8, 8]


def test_random_numbers_are_not_frozen(tmp_path: Path) -> None:
    nodes = [helper.make_node("RandomNormalLike", ["w"], ["r"]), helper.make_node("Add", ["x", "r"], ["y"])]
    assert left(nodes, [onnx_graphs.weight("w", 8)], tmp_path)[0] == ["RandomNormalLike", "Add"]


def test_quantized_weights_stay_quantized(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale"], ["d"]),
        helper.make_node("Conv", ["x", "d"], ["y"]),
    ]
    weights = [tensor("w", np.ones((4, 3, 1, 1), np.int8)), tensor("scale", np.float32(0.1))]
    operators, reply = left(nodes, weights, tmp_path)
    assert operators == ["DequantizeLinear", "Conv"]
    assert reply["notes"] == ["already quantized: holds 1 DequantizeLinear"]


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand", "Tile"])
def test_a_few_bytes_do_not_become_gigabytes(tmp_path: Path, operator: str) -> None:
    big = 20_000_000
    inputs = {"ConstantOfShape": ["big"], "Expand": ["w", "big"], "Tile": ["w", "big"]}[operator]
    nodes = [
        helper.make_node(operator, inputs, ["huge"]),
        helper.make_node("ReduceMax", ["huge"], ["m"], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    weights = [ints("big", big), tensor("w", np.ones(1, np.float32))]
    assert left(nodes, weights, tmp_path)[0] == [operator, "ReduceMax", "Add"]
    assert (tmp_path / "out.onnx").stat().st_size < 2_000


def test_many_small_results_share_one_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "MAX_FOLDED_TOTAL_BYTES", 10_000)
    nodes = [helper.make_node("ConstantOfShape", ["thousand"], [f"c{i}"]) for i in range(9)]
    nodes += [helper.make_node("Sum", ["x", *(f"c{i}" for i in range(9))], ["y"])]
    operators, _ = left(
        nodes,
        [ints("thousand", 1, 1, 1, 1, 1000)],
        tmp_path,
        outputs=[onnx_graphs.floats("y", *[None] * 5)],
        inputs=[onnx_graphs.floats("x", "n", 1, 1, 1, 1)],
    )
    assert operators.count("ConstantOfShape") == 7  # two of 4,000 bytes fit


def test_a_result_unlike_its_inferred_type_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [helper.make_node("Exp", ["w"], ["e"]), helper.make_node("Add", ["x", "e"], ["y"])]
    weights = [onnx_graphs.weight("w", 8)]
    assert left(nodes, weights, tmp_path)[0] == ["Add"]
    monkeypatch.setattr(constants, "_evaluate", lambda *_: [np.zeros(9, np.float32)])
    operators, reply = left(nodes, weights, tmp_path)
    assert operators == ["Exp", "Add"]
    assert "could not fold constant nodes of type Exp" in reply["notes"]


def test_constants_of_every_form_become_weights(tmp_path: Path) -> None:
    forms: dict[str, Any] = {
        "value_float": 2.0,
        "value_floats": [2.0] * 8,
        "value": helper.make_tensor("", TensorProto.FLOAT, [1], [2.0]),
    }
    for name, value in forms.items():
        nodes = [helper.make_node("Constant", [], ["c"], **{name: value}), helper.make_node("Mul", ["x", "c"], ["y"])]
        assert left(nodes, [], tmp_path)[0] == ["Mul"]
        assert [item.name for item in onnx.load(tmp_path / "out.onnx").graph.initializer] == ["c"]
