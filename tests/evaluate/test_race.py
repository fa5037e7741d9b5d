"""Verdicts before the last image: the certain rule is never wrong, the likely one at most as often as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from proof_scale import SCALE
from shoestring.base.errors import DataError, UsageError
from shoestring.evaluate.metrics import paired
from shoestring.evaluate.race import CERTAIN, ERROR, LIKELY, OFF, RULES, Standing, most_wealth, standing, verdict

OUTCOMES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60)


def tops(classes) -> list[tuple[int, ...]]:
    return [(one, (one + 1) % 3) for one in classes]


@given(OUTCOMES, st.integers(0, 60), st.booleans(), st.floats(0.001, 0.5))
def test_the_certain_rule_is_right_whatever_comes(outcomes, seen, labelled, margin):
    """Whatever the whole split turns out to be, it is at or above the lowest drop, and a verdict agrees with it."""
    original, variant, truth = zip(*outcomes, strict=True)
    labels = truth if labelled else None
    whole = paired(tops(original), tops(variant), labels)
    now = standing(tops(original), tops(variant)[:seen], labels)
    assert now.lowest_drop <= whole.drop and now.losses <= whole.losses
    if verdict(now, "top-1", margin, CERTAIN) is not None:
        assert whole.drop > margin
    full = standing(tops(original), tops(variant), labels)
    assert (full.losses, full.wins, full.lowest_drop) == (whole.losses, whole.wins, whole.drop)
    assert (verdict(full, "top-1", margin, CERTAIN) is not None) == (whole.drop > margin)


def test_the_lowest_drop_can_be_reached():
    """All images left are won where they can be: the bound is no tighter and no looser than the truth."""
    original, truth = [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]
    now = standing(tops(original), tops([1, 0]), truth)
    assert (now.losses, now.wins, now.wins_left) == (1, 0, 2)
    assert now.lowest_drop == paired(tops(original), tops([1, 0, 0, 0, 0]), truth).drop == -0.2


def test_a_rule_that_forgets_the_wins_to_come_is_caught():
    """The saboteur: it stops a candidate that would have been admitted."""
    original, truth = [0] * 8 + [1] * 4, [0] * 12
    variant = [1, 1, *[0] * 10]
    now = standing(tops(original), tops(variant)[:6], truth)
    forgetful = Standing(now.seen, now.total, now.losses, now.wins, 0, now.differences)
    assert verdict(forgetful, "top-1", 0.1, CERTAIN) is not None
    assert verdict(now, "top-1", 0.1, CERTAIN) is None
    assert paired(tops(original), tops(variant), truth).drop < 0.1


def test_the_reason_carries_the_numbers():
    now = Standing(310, 1000, 31, 2, 12, (1,) * 31 + (-1,) * 2 + (0,) * 277)
    assert verdict(now, "top-1", 0.01, CERTAIN) == (
        "top-1 falls by more than 1.00 pt on the selection split: certain after 310 of 1,000 images "
        "(losses 31, wins 2), since the rest can hold no more than 12 wins"
    )
    assert verdict(now, "top-1", 0.01, OFF) is None


def shuffled(rng: np.random.Generator, total: int, losses: int, wins: int) -> list[int]:
    outcomes = np.zeros(total, dtype=int)
    outcomes[:losses], outcomes[losses : losses + wins] = 1, -1
    rng.shuffle(outcomes)
    return outcomes.tolist()


def count_stopped(total: int, losses: int, wins: int, margin: float, repetitions: int, seed: int) -> int:
    rng = np.random.default_rng(seed)
    orders = (shuffled(rng, total, losses, wins) for _ in range(repetitions))
    return sum(most_wealth(order, total, margin) >= 1 / ERROR for order in orders)


@pytest.mark.parametrize(("losses", "wins"), [(10, 0), (40, 30), (130, 120)])
def test_the_likely_rule_stops_a_candidate_at_the_margin_as_rarely_as_it_says(losses, wins):
    """The drop on the whole split is exactly the margin: 10 of 1,000, with little and with much discordance."""
    repetitions = 1_500 * SCALE
    stopped = count_stopped(1000, losses, wins, 0.01, repetitions, seed=11)
    assert stopped <= binom.ppf(0.999, repetitions, ERROR), f"{stopped} of {repetitions}"


def test_looking_often_without_paying_for_it_is_caught():
    """The saboteur: a test at the same error at every image, as if it were the only one, stops far too many."""
    rng = np.random.default_rng(5)
    stopped = 0
    for _ in range(300):
        sums = np.cumsum(shuffled(rng, 1000, 130, 120))
        n = np.arange(1, 1001)
        z = (sums - 0.01 * n) / np.sqrt(0.25 * n)
        stopped += bool(np.any(z[50:] > 2.6))
    assert stopped > binom.ppf(0.999, 300, ERROR)


def test_the_likely_rule_stops_what_is_clearly_worse_long_before_the_end():
    rng = np.random.default_rng(3)
    order = shuffled(rng, 1000, 100, 20)
    stopped = next(t for t in range(1, 1001) if most_wealth(order[:t], 1000, 0.01) >= 1 / ERROR)
    now = Standing(stopped, 1000, order[:stopped].count(1), order[:stopped].count(-1), 100, tuple(order[:stopped]))
    assert stopped < 500 and verdict(now, "top-1", 0.01, CERTAIN) is None
    assert "certain but for a chance of 0.001" in str(verdict(now, "top-1", 0.01, LIKELY))


@given(st.lists(st.sampled_from([-1, 0, 1]), max_size=80), st.integers(0, 20), st.floats(0.0, 0.9))
def test_wealth_is_never_negative_and_infinite_only_when_nothing_else_is_possible(differences, more, margin):
    total = len(differences) + more
    wealth = most_wealth(differences, total, margin)
    assert wealth >= 1
    if math.isinf(wealth):
        assert sum(differences) - more > total * margin - 1e-9


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="there is no race rule 'maybe'"):
        verdict(Standing(1, 1, 0, 0, 0, (0,)), "top-1", 0.01, "maybe")
    with pytest.raises(DataError, match="2 answers, 1 originals"):
        standing(tops([0]), tops([0, 0]), None)
    assert RULES == (OFF, CERTAIN, LIKELY)
