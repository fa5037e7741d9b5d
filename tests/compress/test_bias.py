"""Bias correction brings channel means back; probes find the layer that hurts."""

from __future__ import annotations

import numpy as np
import pytest

from nets import Net, images, residual_graph, run
from saturation import needs_exact_products
from shoestring.base.outputs import mean_kl, sqnr_db
from shoestring.compress.bias import (
    clamped_mean,
    correct_biases,
    correct_layer,
    first_examples,
    float_means,
    output_spans,
)
from shoestring.compress.graph import Graph
from shoestring.compress.observe import channel_means, value_ranges
from shoestring.compress.quantize import needed_ranges, to_qdq
from shoestring.compress.scheme import scheme_named
from shoestring.compress.sensitivity import probe
from shoestring.compress.walk import walk

X = images(48)


def feed():
    return ({"image": X[i : i + 8]} for i in range(0, len(X), 8))


def shifted_graph() -> tuple[Graph, Graph]:
    """A float graph and an 8-bit version whose rounding is biased on purpose: every weight is rounded down."""
    graph = residual_graph(4)
    ranges = value_ranges(graph, feed, needed_ranges(graph))
    quantized = to_qdq(graph, ranges, scheme_named("u8s8"), frozenset())
    for name in list(quantized.weights):
        if name.endswith("/weight/integers"):
            quantized.weights[name] = np.maximum(quantized.weights[name].astype(int) - 4, -127).astype(np.int8)
    return graph, quantized


def mean_error(graph: Graph, quantized: Graph) -> float:
    """Largest shift of an output's mean, in standard deviations of the output."""
    wanted, found = run(graph.to_bytes(), X), run(quantized.to_bytes(), X)
    return float(np.max(np.abs(found.mean(axis=0) - wanted.mean(axis=0)) / wanted.std(axis=0)))


@needs_exact_products
def test_means_come_back_and_without_correction_they_would_not() -> None:
    graph, quantized = shifted_graph()
    assert mean_error(graph, quantized) > 0.2, "the saboteur must be visible before correction"
    before = sqnr_db(run(graph.to_bytes(), X), run(quantized.to_bytes(), X))
    batches = first_examples(feed, 48)
    shift, outputs = correct_biases(quantized, float_means(graph, batches, 1), batches, 1)
    assert shift > 0
    assert mean_error(graph, quantized) < 0.02
    assert sqnr_db(run(graph.to_bytes(), X), run(quantized.to_bytes(), X)) > before + 3
    assert np.allclose(outputs[0], run(quantized.to_bytes(), X), atol=0.05)


def test_only_biases_change() -> None:
    graph, quantized = shifted_graph()
    before = {name: value.copy() for name, value in quantized.weights.items()}
    batches = first_examples(feed, 16)
    correct_biases(quantized, float_means(graph, batches, 1), batches, 1)
    changed = {name for name, value in quantized.weights.items() if not np.array_equal(value, before[name])}
    assert changed
    assert all(name.endswith("/bias/integers") for name in changed)


def test_walk_gives_what_a_whole_run_gives_and_hands_on_changes() -> None:
    graph = residual_graph()
    batches = [{"image": X[:8]}, {"image": X[8:16]}]
    seen = {name: np.concatenate(parts) for name, parts in walk(graph, batches, ["stem", "sum", "logits"], 1)}
    assert np.allclose(seen["logits"], run(graph.to_bytes(), X[:16]), atol=1e-5)
    steps = walk(graph, [{"image": X[:8]}], ["stem", "logits"], 1)
    _, parts = next(steps)
    parts[0] += 1.0
    _, moved = next(steps)
    assert not np.allclose(moved[0], seen["logits"][:8], atol=1e-3)


def test_first_examples_cuts_the_last_batch() -> None:
    assert [len(batch["image"]) for batch in first_examples(feed, 20)] == [8, 8, 4]
    assert first_examples(feed, 0) == []


@needs_exact_products
def test_the_probe_names_the_poisoned_layer() -> None:
    graph = residual_graph()
    poisoned = graph.weights["depthwise_w"].copy()
    poisoned[:, 0, 0, 0] = 80.0  # one huge tap a channel leaves few steps for the other eight
    graph.weights["depthwise_w"] = poisoned
    ranges = value_ranges(graph, feed, needed_ranges(graph))
    said: list[tuple[int, int]] = []
    found = probe(graph, ranges, scheme_named("u8s8"), first_examples(feed, 16), 1, lambda a, b: said.append((a, b)))
    assert {item.layer for item in found} == {"n_stem", "n_depthwise", "n_project", "n_expand", "n_shrink", "n_logits"}
    assert found[0].layer == "n_depthwise"
    assert list(found) == sorted(found, key=lambda item: -item.kl)
    assert said[-1] == (6, 6)


def test_what_an_activation_cuts_off_does_not_move_the_bias() -> None:
    """Errors of values far above the clip would shift a plain mean; the clamped mean ignores them."""
    graph = residual_graph(4)
    ranges = value_ranges(graph, feed, needed_ranges(graph))
    spans = output_spans(graph, ranges, (0, 255))
    assert spans["n_stem"][0] == 0
    assert spans["n_stem"][1] == pytest.approx(ranges["stem_act"].high, rel=1e-3)
    assert spans["n_project"][0] < 0
    assert "n_logits" not in spans
    quantized = to_qdq(graph, ranges, scheme_named("u8s8"), frozenset())
    rng = np.random.default_rng(0)
    target_values = rng.normal(1, 2, (4, 8, 6, 6)).astype(np.float32)
    seen = target_values + np.where(target_values > 3, 5.0, 0.25).astype(np.float32)
    target, _ = clamped_mean([target_values], np.zeros(8), (0.0, 3.0))
    correct_layer(quantized, "n_stem", [seen], target, (0.0, 3.0))
    assert np.allclose((seen - target_values)[target_values < 2], 0, atol=0.02)


def test_divergence_is_zero_only_for_equal_answers() -> None:
    logits = np.random.default_rng(0).normal(size=(6, 5))
    assert mean_kl(logits, logits + 3.0) == pytest.approx(0, abs=1e-12)
    # two classes, by hand: p = (3/4, 1/4), q = (1/2, 1/2)
    by_hand = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert mean_kl(np.log([[3.0, 1.0]]), np.zeros((1, 2))) == pytest.approx(by_hand)
    assert sqnr_db(np.array([[10.0]]), np.array([[9.0]])) == pytest.approx(20.0)


@pytest.mark.parametrize("opset", [17, 18])
def test_channel_means_by_hand(opset: int) -> None:
    net = Net()
    net.conv("image", "logits", 3, 4)
    graph = Graph(net.model(["N", 3, 16, 16], ["N", 4, 16, 16]))
    graph.proto.opset_import[0].version = opset
    means = channel_means(graph, feed, {"logits": 4})
    assert means["logits"] == pytest.approx(run(graph.to_bytes(), X).mean(axis=(0, 2, 3)), rel=1e-4)
