"""Local functions: inlined where they are sound, counted before they are expanded."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import onnx_graphs
from shoestring.base.errors import ModelError
from shoestring.importers.onnx_child import normalise

if TYPE_CHECKING:
    from pathlib import Path

_OPSET = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]


def function(name: str, nodes: list[Any]) -> Any:
    return helper.make_function("local", name, ["a"], ["z"], nodes, _OPSET)


def calling(name: str, functions: list[Any]) -> Any:
    node = helper.make_node(name, ["x"], ["y"], domain="local")
    return onnx_graphs.model([node], [], functions=functions, domains=("local",))


def read(made: Any, folder: Path) -> dict[str, Any]:
    source = onnx_graphs.save(made, folder / "in.onnx")
    return normalise({"source": str(source), "target": str(folder / "out.onnx"), "batch_free": True, "shapes": {}})


def test_functions_are_inlined(tmp_path: Path) -> None:
    inner = function("Twice", [helper.make_node("Add", ["a", "a"], ["z"])])
    outer = function(
        "Outer",
        [helper.make_node("Twice", ["a"], ["t"], domain="local"), helper.make_node("Relu", ["t"], ["z"])],
    )
    reply = read(calling("Outer", [inner, outer]), tmp_path)
    assert reply["notes"] == ["inlined 2 local functions"]
    result = onnx.load(tmp_path / "out.onnx")
    assert [node.op_type for node in result.graph.node] == ["Add", "Relu"]
    assert not result.functions and [item.domain for item in result.opset_import] == [""]
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    found = onnxruntime.InferenceSession(str(tmp_path / "out.onnx")).run(None, {"x": x})[0]
    np.testing.assert_allclose(found, np.maximum(2 * x, 0), rtol=1e-6)


def test_a_thousand_million_calls_are_refused_before_they_are_made(tmp_path: Path) -> None:
    functions = [function("F0", [helper.make_node("Relu", ["a"], ["z"])])]
    for level in range(1, 10):
        names = ["a", *(f"t{i}" for i in range(9)), "z"]
        nodes = [
            helper.make_node(f"F{level - 1}", [one], [two], domain="local") for one, two in itertools.pairwise(names)
        ]
        functions.append(function(f"F{level}", nodes))
    with pytest.raises(ModelError, match="expand to 1000000000 nodes"):
        read(calling("F9", functions), tmp_path)


def test_a_function_that_calls_itself(tmp_path: Path) -> None:
    loops = function("Loop", [helper.make_node("Loop", ["a"], ["z"], domain="local")])
    with pytest.raises(ModelError, match="'Loop' calls itself"):
        read(calling("Loop", [loops]), tmp_path)


def test_functions_nested_too_deep(tmp_path: Path) -> None:
    functions = [function("F0", [helper.make_node("Relu", ["a"], ["z"])])]
    for level in range(1, 100):
        functions.append(function(f"F{level}", [helper.make_node(f"F{level - 1}", ["a"], ["z"], domain="local")]))
    with pytest.raises(ModelError, match="more than 64 deep"):
        read(calling("F99", functions), tmp_path)
