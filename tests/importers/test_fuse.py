"""Fusing batch norms: every carrier's weight layout, and every case where it must not be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import onnx_graphs
from onnx_graphs import floats, weight
from shoestring.importers.onnx_child import normalise

if TYPE_CHECKING:
    from pathlib import Path


def normalised_operators(made: Any, folder: Path) -> list[str]:
    """Normalise, compare with the original on random inputs, and return the operators that are left."""
    source, target = onnx_graphs.save(made, folder / "in.onnx"), folder / "out.onnx"
    normalise({"source": str(source), "target": str(target), "batch_free": True, "shapes": {}})
    first, second = (onnxruntime.InferenceSession(str(path)) for path in (source, target))
    shape = [size if isinstance(size, int) else 3 for size in first.get_inputs()[0].shape]
    feeds = {"x": np.random.default_rng(5).standard_normal(shape).astype(np.float32)}
    for expected, found in zip(first.run(None, feeds), second.run(None, feeds), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    return [node.op_type for node in onnx.load(target).graph.node]


def before_norm(node: Any, weights: list[Any], channels: int, **graph: Any) -> Any:
    norm, names = onnx_graphs.batch_norm("bn", channels)
    return onnx_graphs.model(
        [node, helper.make_node("BatchNormalization", [node.output[0], *names], ["y"])], [*weights, *norm], **graph
    )


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_transposed_convolution_with_groups(tmp_path: Path, group: int, bias: bool) -> None:
    inputs = ["x", "w"] + (["b"] if bias else [])
    node = helper.make_node("ConvTranspose", inputs, ["c"], group=group, strides=[2, 2])
    made = before_norm(node, [weight("w", 4, 6 // group, 2, 2), weight("b", 6)], 6, inputs=[floats("x", "n", 4, 5, 5)])
    assert normalised_operators(made, tmp_path) == ["ConvTranspose"]


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("bias_shape", [None, (1,), (5,), (1, 5)])
def test_gemm(tmp_path: Path, transposed: int, bias_shape: tuple[int, ...] | None) -> None:
    inputs = ["x", "w"] + ([] if bias_shape is None else ["b"])
    node = helper.make_node("Gemm", inputs, ["g"], transB=transposed, alpha=0.3, beta=1.7)
    weights = [weight("w", *((5, 4) if transposed else (4, 5)))]
    weights += [] if bias_shape is None else [weight("b", *bias_shape)]
    made = before_norm(node, weights, 5, inputs=[floats("x", "n", 4)], outputs=[floats("y", "n", 5)])
    assert normalised_operators(made, tmp_path) == ["Gemm"]


def test_a_bias_for_each_row_is_left_alone(tmp_path: Path) -> None:
    node = helper.make_node("Gemm", ["x", "w", "b"], ["g"])
    made = before_norm(
        node, [weight("w", 4, 5), weight("b", 3, 1)], 5, inputs=[floats("x", 3, 4)], outputs=[floats("y", 3, 5)]
    )
    assert normalised_operators(made, tmp_path) == ["Gemm", "BatchNormalization"]


def test_two_batch_norms_in_a_row(tmp_path: Path) -> None:
    one, first = onnx_graphs.batch_norm("one", 4)
    two, second = onnx_graphs.batch_norm("second", 4)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", *first], ["d"]),
        helper.make_node("BatchNormalization", ["d", *second], ["y"]),
    ]
    made = onnx_graphs.model(nodes, [weight("w", 4, 3, 3, 3), *one, *two])
    assert normalised_operators(made, tmp_path) == ["Conv"]


def test_a_convolution_with_another_reader_keeps_its_output(tmp_path: Path) -> None:
    norm, names = onnx_graphs.batch_norm("bn", 4)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", *names], ["b"]),
        helper.make_node("Add", ["b", "c"], ["y"]),
    ]
    made = onnx_graphs.model(nodes, [weight("w", 4, 3, 3, 3), *norm])
    assert normalised_operators(made, tmp_path) == ["Conv", "BatchNormalization", "Add"]


def test_a_convolution_that_is_a_graph_output_keeps_it(tmp_path: Path) -> None:
    norm, names = onnx_graphs.batch_norm("bn", 4)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", *names], ["y"]),
    ]
    outputs = [floats(name, "n", 4, 6, 6) for name in ("c", "y")]
    made = onnx_graphs.model(nodes, [weight("w", 4, 3, 3, 3), *norm], outputs=outputs)
    assert normalised_operators(made, tmp_path) == ["Conv", "BatchNormalization"]


def test_convolutions_that_share_a_weight_each_get_their_own(tmp_path: Path) -> None:
    norm, names = onnx_graphs.batch_norm("bn", 3)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", *names], ["b"]),
        helper.make_node("Conv", ["b", "w"], ["d"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["b", "d"], ["y"]),
    ]
    made = onnx_graphs.model(nodes, [weight("w", 3, 3, 3, 3), *norm])
    assert normalised_operators(made, tmp_path) == ["Conv", "Conv", "Add"]
