"""The exact test: its tail sums, its rigorous maximum, and its size over whole sample spaces."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.stats import binom, multinomial

from shoestring.base.errors import MissingExtraError
from shoestring.evaluate import exact_paired
from shoestring.evaluate.exact_paired import (
    binomial_p,
    interval_bounds,
    largest_probability,
    observed_tail,
    special,
    tail_probability,
    trinomial_p,
)
from shoestring.evaluate.ordering import score_limit
from shoestring.evaluate.sample_size import critical_losses


def outcomes(n: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(n + 1) for b in range(n + 1 - a)]


def probabilities(n: int, q: float, drop: float) -> np.ndarray:
    counts = np.array([(a, b, n - a - b) for a, b in outcomes(n)])
    return multinomial.pmf(counts, n, [(q + drop) / 2, (q - drop) / 2, 1 - q])


@pytest.mark.parametrize(("losses", "wins", "margin"), [(2, 1, 0.1), (0, 0, 0.05), (3, 9, -0.1), (10, 2, 0.3)])
def test_tail_is_the_sum_over_all_outcomes_at_or_before(losses: int, wins: int, margin: float) -> None:
    n = 25
    limit = score_limit(n, losses, wins, 1.6448536)
    member = np.array([score_limit(n, a, b, 1.6448536) <= limit + 1e-9 for a, b in outcomes(n)])
    q = np.array([abs(margin) + 1e-6, 0.35, 0.6])
    expected = [probabilities(n, float(rate), margin)[member].sum() for rate in q]
    assert tail_probability(observed_tail(n, losses, wins, 0.05), q, margin) == pytest.approx(expected, abs=1e-6)


def test_bounds_hold_between_the_points_for_any_set_of_outcomes() -> None:
    rng = np.random.default_rng(2)
    n, caught = 20, 0
    for _ in range(150):
        margin = float(rng.choice([0.0, 0.05, 0.2, -0.1]))
        member = rng.random(len(outcomes(n))) < rng.uniform(0.05, 0.95)
        low = abs(margin) + float(rng.choice([0.0, 1e-3, 0.05]))
        width = float(rng.choice([0.002, 0.02, 0.2]))
        q = np.array([low, low + width])
        value = np.array([probabilities(n, float(rate), margin)[member].sum() for rate in q])
        bound = float(interval_bounds(n, margin, q, value)[0])
        inner = [
            probabilities(n, float(rate), margin)[member].sum() for rate in np.linspace(low + 1e-9, low + width, 12)
        ]
        assert max(inner) <= bound + 1e-9
        caught += max(inner) > value.max() + 1e-9
    assert caught > 10, "points alone must be too low somewhere, or this test proves nothing"


def test_bounds_are_near_the_truth_on_fine_grids() -> None:
    tail = observed_tail(1000, 12, 8, 0.05)
    q = np.linspace(0.012, 0.035, 300)
    value = tail_probability(tail, q, 0.01)
    assert np.max(interval_bounds(1000, 0.01, q, value) - np.maximum(value[:-1], value[1:])) < 2e-4


@pytest.mark.parametrize(
    ("n", "losses", "wins", "margin"), [(310, 3, 1, 0.01), (2000, 50, 50, 0.01), (500, 0, 0, 0.01), (200, 1, 9, -0.01)]
)
def test_maximum_is_at_or_just_above_a_dense_search(n: int, losses: int, wins: int, margin: float) -> None:
    tail = observed_tail(n, losses, wins, 0.05)
    low, high = max(tail.q_low, abs(margin)), max(tail.q_high, abs(margin))
    assert margin <= tail.q_high
    dense = float(tail_probability(tail, np.linspace(low, high, 4000), margin).max())
    bound = largest_probability(tail, margin)
    assert dense - 1e-9 <= bound <= dense + max(3e-3 * dense, 2e-5)


@pytest.mark.parametrize("margin", [-0.1, 0.0, 0.05, 0.15])
def test_size_over_the_whole_sample_space(margin: float) -> None:
    n = 40
    for alpha, tuned in ((0.01, 0.01), (0.05, 0.05), (0.2, 0.05)):
        rejected = np.array([trinomial_p(n, a, b, margin, tuned) for a, b in outcomes(n)]) <= alpha
        for drop in (margin, margin + 0.02, margin + 0.1):  # the hypothesis is "at least margin", not "equal to"
            for q in np.linspace(abs(drop) + 1e-9, 1 - 1e-9, 60):
                assert probabilities(n, float(q), drop)[rejected].sum() <= alpha


def rejection_rate(n: int, most_losses: np.ndarray, q: np.ndarray, drop: float) -> np.ndarray:
    """Exact chance to certify when at count K up to most_losses[K] losses certify."""
    k = np.arange(len(most_losses))
    weight = binom.pmf(k, n, q[:, None])
    certified = binom.cdf(most_losses, k, (1 + drop / q[:, None]) / 2)
    return (weight * certified).sum(axis=1) + (1 - weight.sum(axis=1)).clip(0)


def wald_most_losses(n: int, last: int, margin: float) -> np.ndarray:
    """The saboteur: the normal approximation of every textbook."""
    found = []
    for count in range(last + 1):
        losses = np.arange(count + 1)
        excess = 2 * losses - count - n * margin
        inside = excess <= -1.6448536 * np.sqrt(np.maximum(0, count - (2 * losses - count) ** 2 / n))
        found.append(int(losses[inside].max(initial=-1)))
    return np.array(found)


@pytest.mark.parametrize(("n", "margin", "last"), [(500, 0.02, 90), (2000, 0.01, 110)])
def test_size_at_practical_n(n: int, margin: float, last: int) -> None:
    q = np.linspace(margin + 1e-9, 0.035 if n == 2000 else 0.1, 200)
    ours = rejection_rate(n, np.array([critical_losses(n, k, margin, 0.05) for k in range(last + 1)]), q, margin)
    assert np.all(ours <= 0.05)
    assert ours.max() > 0.045, "far below the nominal size the test would waste inputs"
    assert rejection_rate(n, wald_most_losses(n, last, margin), q, margin).max() > 0.055


def test_p_falls_with_the_margin_and_rises_with_losses() -> None:
    for n, losses, wins in ((120, 4, 3), (700, 20, 15), (60, 0, 0), (60, 0, 30)):
        p = [trinomial_p(n, losses, wins, float(m), 0.05) for m in np.linspace(-0.5, 0.5, 41)]
        assert np.all(np.diff(p) <= 2.5e-3 * np.array(p[:-1]) + 2e-5)
    p = [trinomial_p(300, a, 20 - a, 0.03, 0.05) for a in range(21)]
    assert np.all(np.diff(p) >= -1e-4)


def test_a_margin_beyond_any_plausible_discordance_is_certified() -> None:
    assert trinomial_p(50_000, 100, 100, 0.01, 0.05) < 2e-5
    assert trinomial_p(2_000, 0, 0, 0.2, 0.05) < 2e-5
    assert trinomial_p(2_000, 0, 0, -0.2, 0.05) > 0.999


def test_works_for_large_n() -> None:
    assert trinomial_p(50_000, 12_700, 12_500, 0.01, 0.05) == pytest.approx(0.0296, abs=5e-4)


def test_binomial_is_exact() -> None:
    for n, losses, margin in ((299, 0, 0.01), (500, 7, 0.02), (10, 10, 0.3)):
        assert binomial_p(n, losses, margin) == pytest.approx(float(binom.cdf(losses, n, margin)), rel=1e-12)


def test_missing_scipy_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MissingExtraError, match="scipy") as caught:
        special()
    assert caught.value.extra == "fit"


def test_a_tail_that_forgets_rare_counts_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saboteur: a window of one deviation. What lies outside is added as mass, so p may only grow."""
    honest = trinomial_p(400, 6, 2, 0.02, 0.05)
    monkeypatch.setattr(exact_paired, "_window", lambda n, low, high: (int(n * low), int(n * (low + high) / 2)))
    exact_paired.observed_tail.cache_clear()
    narrow = largest_probability(exact_paired.observed_tail(400, 6, 2, 0.05), 0.02)
    exact_paired.observed_tail.cache_clear()
    assert narrow >= honest - 1e-4
