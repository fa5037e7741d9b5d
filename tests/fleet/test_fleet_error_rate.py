"""How many failures halt a roll-out."""

from __future__ import annotations

import random

import pytest
from scipy.stats import beta, binom

from shoestring.base.errors import UsageError
from shoestring.fleet.error_rate import Tally, judge, upper_bound

ERROR = 0.05


@pytest.mark.parametrize("n", [1, 10, 59, 149, 1000, 100_000])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.5, 0.99])
def test_the_bound_is_that_of_clopper_and_pearson(n, share):
    count = int(n * share)
    assert upper_bound(n, count, ERROR) == pytest.approx(beta.ppf(1 - ERROR, count + 1, n - count), rel=1e-9)


@pytest.mark.parametrize(("n", "count"), [(0, 0), (1, 1), (20, 20)])
def test_nothing_is_known_where_all_failed_or_nobody_spoke(n, count):
    assert upper_bound(n, count, ERROR) == 1.0


def test_a_bad_bundle_passes_no_oftener_than_one_time_in_twenty():
    """Exactly: over every number of failures that a wave of 100 can show, at a true rate just above the limit."""
    for most in (0.02, 0.05, 0.2):
        passing = [k for k in range(101) if judge(Tally(100 - k, k, 0), most).passes]
        rate = most * 1.0001
        assert sum(binom.pmf(k, 100, rate) for k in passing) <= ERROR


def test_the_saboteur_that_compares_the_plain_rate_would_let_it_through():
    passing = [k for k in range(101) if k / 100 <= 0.05]
    assert sum(binom.pmf(k, 100, 0.05001) for k in passing) > 0.5


def test_needed_devices_are_just_enough():
    for most in (0.01, 0.02, 0.05, 0.3):
        needed = judge(Tally(0, 0, 0), most).needed
        assert judge(Tally(needed, 0, 0), most).passes
        assert not judge(Tally(needed - 1, 0, 0), most).passes


def test_more_failures_never_help():
    rng = random.Random("failures")
    for _ in range(200):
        n = rng.randint(1, 500)
        bounds = [upper_bound(n, count, ERROR) for count in sorted(rng.sample(range(n + 1), min(5, n)))]
        assert bounds == sorted(bounds)


def test_words_name_the_figures():
    verdict = judge(Tally(90, 10, 3, (("it crashed", 7), ("no space", 3))))
    assert verdict.words == (
        "10 of 100 devices failed, so at most 16.4% of all do (95% sure); the limit is 5.0%; "
        "they say: it crashed (7); no space (3)"
    )


@pytest.mark.parametrize(("most", "confidence"), [(0.0, 0.95), (1.0, 0.95), (0.05, 0.5), (0.05, 1.0)])
def test_senseless_limits_are_refused(most, confidence):
    with pytest.raises(UsageError, match="makes no sense"):
        judge(Tally(1, 0, 0), most, confidence)
