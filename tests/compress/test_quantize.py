"""The float graph and its 8-bit version answer alike, and every layer really runs on integers."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nets import Net, images, residual_graph, run
from saturation import REASON, SATURATES
from shoestring.base.errors import EngineError
from shoestring.base.outputs import sqnr_db
from shoestring.compress.graph import Graph
from shoestring.compress.layers import plan
from shoestring.compress.observe import Range, value_ranges
from shoestring.compress.qdq import BIAS_LIMIT, affine, channel_scales, quantize_bias, quantize_weight
from shoestring.compress.quantize import needed_ranges, to_qdq
from shoestring.compress.scheme import Scheme, scheme_for, scheme_named, schemes


def feed_of(x: np.ndarray, size: int = 8):
    return lambda: ({"image": x[i : i + size]} for i in range(0, len(x), size))


def quantized(graph: Graph, scheme: Scheme, *kept: str) -> Graph:
    ranges = value_ranges(graph, feed_of(images(64)), needed_ranges(graph))
    return to_qdq(graph, ranges, scheme, frozenset(kept))


def executed_operators(model: bytes, tmp_path) -> list[str]:
    """Operators after ONNX Runtime's own rewriting: what will really run."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]


@pytest.mark.parametrize("scheme", schemes(), ids=lambda scheme: scheme.name)
@pytest.mark.parametrize("seed", range(3))
def test_outputs_stay_close(scheme: Scheme, seed: int) -> None:
    if SATURATES and scheme.weight_bits == 8:
        pytest.skip(REASON)
    graph = residual_graph(seed)
    x = images(32, seed=9)
    wanted = run(graph.to_bytes(), x)
    floor_db = {8: 25, 7: 20, 4: 8}[scheme.weight_bits]
    assert sqnr_db(wanted, run(quantized(graph, scheme).to_bytes(), x)) > floor_db


def test_every_layer_runs_on_integers(tmp_path) -> None:
    graph = residual_graph()
    operators = executed_operators(quantized(graph, scheme_named("u8s8")).to_bytes(), tmp_path)
    assert operators.count("QLinearConv") == 5
    assert "Conv" not in operators
    assert "Clip" not in operators, "the unsigned range does the clip's work"
    assert {"QLinearAdd", "QLinearGlobalAveragePool", "QGemm"} <= set(operators)


def test_named_layers_stay_in_float(tmp_path) -> None:
    graph = residual_graph()
    model = quantized(graph, scheme_named("u8s8"), "n_stem", "n_depthwise")
    operators = executed_operators(model.to_bytes(), tmp_path)
    assert operators.count("QLinearConv") == 3
    assert sum(kind in {"Conv", "FusedConv"} for kind in operators) == 2
    assert np.array_equal(model.weights["stem_w"], graph.weights["stem_w"])


def test_the_source_graph_is_not_changed() -> None:
    graph = residual_graph()
    before = graph.to_bytes()
    quantized(graph, scheme_named("u8s8"))
    assert graph.to_bytes() == before


def test_add_of_a_float_branch_is_no_island() -> None:
    graph = residual_graph()
    names = {layer.node.name for layer in plan(graph, frozenset({"n_shrink"}))}
    assert "n_sum" not in names
    assert "n_project" in names


def test_a_clip_from_below_zero_is_no_part_of_the_layer_before_it() -> None:
    net = Net()
    x = net.conv("image", "conv", 3, 4)
    low, high = net.constant("low", np.float32(-1)), net.constant("high", np.float32(1))
    net.node("Clip", [x, low, high], "logits")
    graph = Graph(net.model(["N", 3, 16, 16], ["N", 4, 16, 16]))
    conv, clip = plan(graph, frozenset())
    assert conv.activation is None
    assert (clip.node.op_type, clip.output) == ("Clip", "logits")


def test_ranges_are_those_of_all_batches() -> None:
    graph = residual_graph()
    x = images(40, seed=3)
    ranges = value_ranges(graph, feed_of(x, 7), ["image", "stem"])
    assert ranges["image"] == Range(float(x.min()), float(x.max()))
    whole = value_ranges(graph, feed_of(x, 40), ["image", "stem"])
    assert ranges["stem"].low == pytest.approx(whole["stem"].low, rel=1e-5)


def test_batches_are_streamed() -> None:
    alive: list[int] = []

    def feed():
        for i in range(20):
            alive.append(i)
            yield {"image": images(4, seed=i)}

    value_ranges(residual_graph(), feed, ["image"])
    assert alive == list(range(20))


def test_a_tensor_that_reaches_infinity_is_named() -> None:
    graph = residual_graph()
    bad = images(8)
    bad[3, 0, 0, 0] = np.inf
    with pytest.raises(EngineError, match="image"):
        value_ranges(graph, feed_of(bad), ["image"])


@given(low=st.floats(-1e4, 1e4), width=st.floats(0, 1e4), signed=st.booleans())
def test_zero_is_exact_and_the_range_is_covered(low: float, width: float, signed: bool) -> None:
    limits = (-128, 127) if signed else (0, 255)
    found = affine(Range(low, low + width), limits)
    assert limits[0] <= found.zero_point <= limits[1]
    slack = found.scale * 0.51 + 1e-6
    assert found.scale * (limits[0] - found.zero_point) <= min(low, 0) + slack
    assert found.scale * (limits[1] - found.zero_point) >= max(low + width, 0) - slack


@given(seed=st.integers(0, 1000), limit=st.sampled_from([63, 127]))
@settings(max_examples=50)
def test_weights_are_rounded_to_the_nearest_step(seed: int, limit: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, rng.uniform(1e-3, 10), (4, 3, 3, 3)).astype(np.float32)
    scales = channel_scales(weight, 0, limit, np.zeros(4, np.float32), 0.01)
    integers = quantize_weight(weight, scales, 0, limit)
    assert np.abs(integers.astype(int)).max() <= limit
    error = np.abs(weight - integers * scales.reshape(-1, 1, 1, 1))
    assert np.all(error <= scales.reshape(-1, 1, 1, 1) * 0.5001)


def test_a_dead_channel_does_not_overflow_the_bias() -> None:
    weight = np.zeros((2, 3, 1, 1), np.float32)
    weight[1] = 0.5
    bias = np.array([3.0, 3.0], np.float32)
    scales = channel_scales(weight, 0, 127, bias, 0.02)
    integers = quantize_bias(bias, scales, 0.02)
    assert np.abs(integers.astype(np.int64)).max() <= BIAS_LIMIT * 1.01
    assert integers * (scales.astype(np.float64) * 0.02) == pytest.approx(bias, rel=1e-3)


@pytest.mark.parametrize(
    ("isa", "name"),
    [
        (("avx2", "avx512_vnni"), "u8s8"),
        (("avx_vnni", "avx2"), "u8s8"),
        (("avx2", "fma"), "u8s7"),
        (("asimd", "asimddp"), "s8s8"),
        ((), "s8s8"),
    ],
)
def test_types_follow_the_instruction_set(isa: tuple[str, ...], name: str) -> None:
    assert scheme_for(isa).name == name
