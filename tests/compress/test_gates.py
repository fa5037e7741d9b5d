"""Hard sigmoids move into the layers before them, and nothing else changes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import zoo
from native.qdq_models import Sketch, on_ort
from shoestring.compress.gates import fold_hard_sigmoids
from shoestring.compress.graph import Graph
from shoestring.compress.layers import foldable_activation


def graph_of(sketch: Sketch, *outputs: str) -> Graph:
    return Graph(onnx.ModelProto.FromString(sketch.bytes(*outputs)))


def same_function(before: bytes, after: bytes, x: np.ndarray) -> None:
    for wanted, found in zip(on_ort(before, {"x": x}).values(), on_ort(after, {"x": x}).values(), strict=True):
        assert np.ptp(wanted) > 0
        np.testing.assert_allclose(found, wanted, atol=2e-5)


def conv(s: Sketch, bias: bool) -> str:
    return s.add("Conv", "x", s.normal(4, 3, 1, 1, size=2), *([s.normal(4)] if bias else []))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("settings", [{}, {"alpha": 1 / 6, "beta": 0.5}])
def test_of_a_convolution(bias: bool, settings: dict[str, float]) -> None:
    s = Sketch(1, 3, 5, 5)
    graph = graph_of(s, s.add("HardSigmoid", conv(s, bias), **settings))
    before = graph.to_bytes()
    assert fold_hard_sigmoids(graph) == 1
    assert [node.op_type for node in graph.nodes] == ["Conv", "Clip"]
    assert foldable_activation(graph, graph.nodes[0]) is not None, "a range does the clip's work"
    x = np.random.default_rng(0).normal(0, 1, (1, 3, 5, 5)).astype(np.float32)
    assert set(np.unique(on_ort(before, {"x": x}).popitem()[1])) >= {0.0, 1.0}, "both ends are reached"
    same_function(before, graph.to_bytes(), x)


@pytest.mark.parametrize("turned", [0, 1])
def test_of_a_fully_connected_layer(turned: int) -> None:
    s = Sketch(2, 6)
    made = s.add("Gemm", "x", s.normal(*((4, 6) if turned else (6, 4))), transB=turned)
    graph = graph_of(s, s.add("HardSigmoid", made))
    before = graph.to_bytes()
    assert fold_hard_sigmoids(graph) == 1
    same_function(before, graph.to_bytes(), np.random.default_rng(0).normal(0, 1, (2, 6)).astype(np.float32))


def shared_output(s: Sketch) -> tuple[str, ...]:
    made = conv(s, True)
    return s.add("HardSigmoid", made), s.add("Relu", made)


def shared_weight(s: Sketch) -> tuple[str, ...]:
    weight = s.normal(4, 3, 1, 1)
    return s.add("HardSigmoid", s.add("Conv", "x", weight)), s.add("Conv", "x", weight)


def visible_output(s: Sketch) -> tuple[str, ...]:
    made = conv(s, True)
    return made, s.add("HardSigmoid", made)


def no_layer_before(s: Sketch) -> tuple[str, ...]:
    return (s.add("HardSigmoid", s.add("Relu", conv(s, True))),)


@pytest.mark.parametrize("build", [shared_output, shared_weight, visible_output, no_layer_before])
def test_what_others_read_stays(build) -> None:
    s = Sketch(1, 3, 5, 5)
    graph = graph_of(s, *build(s))
    before = graph.to_bytes()
    assert fold_hard_sigmoids(graph) == 0
    assert graph.to_bytes() == before


def test_every_gate_of_a_mobile_network() -> None:
    graph = Graph(onnx.ModelProto.FromString(zoo.NETS["mobilenet_v3_small"]()))
    before = graph.to_bytes()
    assert fold_hard_sigmoids(graph) == 9
    same_function(before, graph.to_bytes(), zoo.example_input("mobilenet_v3_small", 2)["x"])
