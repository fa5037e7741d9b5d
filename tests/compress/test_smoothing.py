"""Smoothing keeps the function, makes 8 bits fit, and hides nothing from later passes."""

from __future__ import annotations

import numpy as np
import pytest

from encoders import OUTLIERS, WIDTH, close, encoder, layer_norm, linear, tokens
from nets import Net, bare_workshop, run
from shoestring.base.outputs import sqnr_db
from shoestring.compress import smoothing
from shoestring.compress.graph import Graph
from shoestring.compress.passes import PASSES, Workshop
from shoestring.compress.smoothing import SMOOTHED, Choice, choose, powers_of_two, sites, smooth

X = tokens(24)
SCHEME = {"scheme": "u8s8"}


@pytest.fixture
def workshop() -> Workshop:
    return bare_workshop([{"x": X[i : i + 4]} for i in range(0, 16, 4)])


@pytest.mark.parametrize("form", ["operator", "decomposed"])
@pytest.mark.parametrize("first", [True, False])
def test_the_function_stays(form: str, first: bool, workshop: Workshop) -> None:
    graph = Graph(encoder(form, first=first))
    before = run(graph.to_bytes(), X)
    smoothed, notes = PASSES["smooth"].run(graph, SCHEME, workshop)
    assert np.array_equal(run(smoothed.to_bytes(), X), before)
    assert "left alone at 6" not in notes[0]
    assert any(name.endswith(SMOOTHED) for node in smoothed.nodes for name in node.output)


@pytest.mark.parametrize("form", ["operator", "decomposed"])
def test_norms_carry_the_scales_where_nothing_else_reads_them(form: str, workshop: Workshop) -> None:
    graph = Graph(encoder(form, first=True))
    count = len(graph.nodes)
    smoothed, _ = PASSES["smooth"].run(graph, SCHEME, workshop)
    reads = next(node for node in smoothed.nodes if node.name == "n_att_q_product").input[0]
    assert reads == "norm1" + SMOOTHED
    inserted = [node for node in smoothed.nodes if node.op_type == "Mul" and node.name.endswith(SMOOTHED)]
    assert len(smoothed.nodes) == count + len(inserted)
    assert not any(node.output[0].startswith("norm") for node in inserted)


def test_a_norm_that_the_residual_reads_too_is_left_as_it_is(workshop: Workshop) -> None:
    smoothed, _ = PASSES["smooth"].run(Graph(encoder("operator", first=False)), SCHEME, workshop)
    made = next(node for node in smoothed.nodes if node.output[0] == "norm1" + SMOOTHED)
    assert made.op_type == "Mul"
    assert "norm1" in next(node for node in smoothed.nodes if node.name == "n_sum2").input


def test_static_8_bits_gain_from_it(workshop: Workshop) -> None:
    graph = Graph(encoder("operator", first=True))
    exact = run(graph.to_bytes(), X)
    plain, _ = PASSES["matrix_int8"].run(graph.copy(), SCHEME, workshop)
    smoothed, _ = PASSES["smooth"].run(graph.copy(), SCHEME, workshop)
    smoothed, _ = PASSES["matrix_int8"].run(smoothed, SCHEME, workshop)
    assert sqnr_db(exact, run(smoothed.to_bytes(), X)) > sqnr_db(exact, run(plain.to_bytes(), X)) + 3


def through(operator: str) -> Graph:
    """A tensor with outlier channels that `operator` makes, and one product that reads it."""
    net = Net(3)
    if operator == "LayerNormalization":
        y = layer_norm(net, "x", "y", "operator")
    elif operator == "Mul":
        y = net.node("Mul", ["x", net.constant("gain", np.where(np.arange(WIDTH) == 3, 40, 1).astype(np.float32))], "y")
    else:
        y = linear(net, "x", "y" if operator == "linear" else "pre", WIDTH, WIDTH)
        net.weights[f"{y}_w"][:, 3] *= 40
        y = y if operator == "linear" else net.node("Relu", [y], "y")
    pooled = net.node("ReduceMean", [linear(net, y, "z", WIDTH, WIDTH)], "pooled", axes=[1], keepdims=0)
    linear(net, pooled, "logits", WIDTH, 10, gemm=True)
    return Graph(close(net))


@pytest.mark.parametrize("operator", ["LayerNormalization", "Mul", "linear", "Relu"])
def test_each_carrier(operator: str) -> None:
    graph = through(operator)
    before = run(graph.to_bytes(), X)
    site = next(site for site in sites(graph) if site.tensor == "y")
    scales = np.exp2(np.arange(WIDTH) % 5 - 2).astype(np.float32)
    assert smooth(graph, site, Choice(0.5, scales, 0.5)) == "carried"
    assert np.allclose(run(graph.to_bytes(), X), before, rtol=1e-5, atol=1e-5)


def test_a_gemm_carries_bias_and_weight() -> None:
    net = Net(5)
    flat = net.node("ReduceMean", ["x"], "flat", axes=[1], keepdims=0)
    hidden = net.node("Relu", [net.gemm(flat, "up", WIDTH, WIDTH)], "hidden")
    net.gemm(hidden, "logits", WIDTH, 10)
    graph = Graph(close(net))
    before = run(graph.to_bytes(), X)
    site = next(site for site in sites(graph) if site.tensor == "hidden")
    assert smooth(graph, site, Choice(0.5, np.full(WIDTH, 4, np.float32), 0.5)) == "carried"
    assert np.allclose(run(graph.to_bytes(), X), before, rtol=1e-5, atol=1e-5)


def test_a_carrier_that_forgets_the_bias_is_caught(monkeypatch) -> None:
    real = smoothing._divided
    monkeypatch.setattr(smoothing, "_divided", lambda graph, node, indices, scales: real(graph, node, [1], scales))
    graph = through("LayerNormalization")
    before = run(graph.to_bytes(), X)
    site = next(site for site in sites(graph) if site.tensor == "y")
    smooth(graph, site, Choice(0.5, np.full(WIDTH, 4, np.float32), 0.5))
    assert not np.allclose(run(graph.to_bytes(), X), before, rtol=1e-5, atol=1e-5)


def test_scales_are_powers_of_two_and_leave_dead_channels_alone() -> None:
    peaks = np.array([0.0, 1.0, 100.0, 3.0])
    scales = powers_of_two(peaks, np.array([1.0, 0.5, 0.5, 0.0]), 0.5)
    assert scales[0] == 1 and scales[3] == 1
    assert np.array_equal(np.exp2(np.rint(np.log2(scales))), scales)
    assert scales[2] > scales[1]


def test_the_choice_goes_for_the_outliers() -> None:
    graph = through("LayerNormalization")
    values = [tokens(8) * np.where(np.isin(np.arange(WIDTH), OUTLIERS), 40, 1).astype(np.float32)]
    site = next(site for site in sites(graph) if site.tensor == "y")
    found = choose(graph, site, values, (0, 255))
    assert found.ratio < 0.5
    assert found.scales[list(OUTLIERS)].min() > np.median(found.scales)


def test_it_refuses_a_model_without_products() -> None:
    net = Net()
    net.conv("image", "logits", 3, 4)
    graph = Graph(net.model(["N", 3, 16, 16], ["N", 4, 16, 16]))
    assert PASSES["smooth"].requires(graph, SCHEME) is not None
    assert PASSES["matrix_int8"].requires(graph, SCHEME) is not None
    assert PASSES["weights_nbits"].requires(graph, {}) is not None
