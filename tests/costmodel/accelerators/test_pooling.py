"""Pooling and intervals, on numbers made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from shoestring.costmodel.accelerators.conformal import conformal_quantile
from shoestring.costmodel.accelerators.pooling import Effects, Pool, left_out_scores, lend

EFFECTS = Effects((1.0, 0.3), 0.1, 0.05)


def test_the_quantile_is_the_next_rank_up() -> None:
    scores = np.arange(1.0, 11.0)
    assert conformal_quantile(scores) == 10.0
    assert conformal_quantile(scores, 0.5) == 6.0
    assert conformal_quantile(np.arange(1.0, 9.0)) is None


def test_the_quantile_covers_what_it_says() -> None:
    draws = np.random.default_rng(5).exponential(size=(4000, 40))
    held = [one[39] <= (conformal_quantile(one[:39]) or 0.0) for one in draws]
    assert np.mean(held) == pytest.approx(0.9, abs=0.02)


def test_relatives_lend_and_strangers_stay_unsure() -> None:
    labels = tuple((("a", f"a{n % 2}")) for n in range(8))
    pool = Pool(labels, tuple(f"m{n}" for n in range(8)), np.array([0.5, 0.9] * 4))
    mean, deviation = lend(pool, [("a", "a0"), ("a", "new"), ("b", "b0")], ["x"] * 3, EFFECTS)
    assert mean[0] == pytest.approx(0.5, abs=0.05) and 0.5 < mean[1] < 0.9
    assert deviation[0] < deviation[1] < deviation[2]


def test_a_models_own_effect_follows_it_but_not_when_left_out() -> None:
    labels = (("a", "a0"),) * 6
    pool = Pool(labels, ("odd", "m1", "m2", "m3", "m4", "m5"), np.array([0.4, 0.0, 0.0, 0.0, 0.0, 0.0]))
    known, _ = lend(pool, [("a", "a0")], ["odd"], EFFECTS)
    unknown, _ = lend(pool.without("odd"), [("a", "a0")], ["odd"], EFFECTS)
    assert known[0] > 0.2 and unknown[0] == pytest.approx(0.0, abs=0.01)
    assert left_out_scores(pool, EFFECTS).argmax() == 0
