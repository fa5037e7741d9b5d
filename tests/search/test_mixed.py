"""The mixture is the best there is, and says what it predicts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from shoestring.base.errors import UsageError
from shoestring.search.mixed import Edge, LayerCost, fastest, mixture, mixtures, most_accurate


def network(seed: int, n: int = 9) -> tuple[list[LayerCost], list[Edge]]:
    rng = np.random.default_rng(seed)
    layers = [
        LayerCost(f"l{i}", float(rng.lognormal(-6, 1.5)), float(rng.uniform(0.1, 0.3)), float(rng.uniform(0.08, 0.6)))
        for i in range(n)
    ]
    edges = [Edge(f"l{i}", f"l{i + 1}", float(rng.uniform(0, 0.05))) for i in range(n - 1)]
    return layers, [*edges, Edge("l1", f"l{n - 2}", 0.02)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 1.0])
def test_no_other_mixture_is_faster(seed: int, part: float) -> None:
    layers, edges = network(seed)
    limit = part * sum(layer.loss for layer in layers)
    found = fastest(layers, edges, limit)
    names = [layer.name for layer in layers]
    every = [
        mixture(layers, edges, kept) for size in range(len(names) + 1) for kept in itertools.combinations(names, size)
    ]
    best = max(one.saved_ms for one in every if one.loss <= limit * (1 + 1e-9) + 1e-15)
    assert found.loss <= limit * (1 + 1e-6) + 1e-12
    assert found.saved_ms >= best - 2e-5


def test_tighter_budgets_cost_time_and_each_mixture_comes_once() -> None:
    found = mixtures(*network(3))
    assert len({one.float_layers for one in found}) == len(found)
    assert all(one.float_layers for one in found)
    assert [one.loss for one in found] == sorted((one.loss for one in found), reverse=True)
    assert [one.saved_ms for one in found] == sorted((one.saved_ms for one in found), reverse=True)


def test_the_most_accurate_within_a_latency() -> None:
    layers, edges = network(4, 8)
    names = [layer.name for layer in layers]
    every = [
        mixture(layers, edges, kept) for size in range(len(names) + 1) for kept in itertools.combinations(names, size)
    ]
    fast = max(one.saved_ms for one in every)
    for saved in (fast - 0.01, fast - 0.3, fast - 1.0):
        found = most_accurate(layers, edges, saved)
        assert found.saved_ms >= saved
        best = min(one.loss for one in every if one.saved_ms >= saved)
        assert found.loss <= best + 1e-3 * sum(layer.loss for layer in layers) + 1e-12
    with pytest.raises(UsageError, match="the fastest saves"):
        most_accurate(layers, edges, fast + 0.1)


def test_a_layer_that_is_faster_in_float_stays_there_without_need() -> None:
    layers = [LayerCost("stem", 0.0, 0.35, 0.25), LayerCost("body", 0.1, 0.1, 0.4)]
    assert fastest(layers, [Edge("stem", "body", 0.02)], 1.0).float_layers == ("stem",)
    assert fastest(layers, [Edge("stem", "body", 0.2)], 1.0).float_layers == (), "the conversion eats the gain"


def test_bad_questions_are_refused() -> None:
    layers, edges = network(0)
    with pytest.raises(UsageError, match="-1"):
        fastest(layers, edges, -1)
    with pytest.raises(UsageError, match="nan"):
        fastest(layers, edges, float("nan"))
    with pytest.raises(UsageError, match="ghost"):
        fastest(layers, [Edge("l0", "ghost", 0.1)], 1)
