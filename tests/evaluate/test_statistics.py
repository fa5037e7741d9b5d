"""Limits, intervals, certificates and sample sizes as the user meets them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest, multinomial

from shoestring.base.errors import DataError, UsageError
from shoestring.domain.score import Paired
from shoestring.evaluate.sample_size import critical_losses, needed_n, power, smallest_n, too_small_message
from shoestring.evaluate.statistics import certify, drop_interval, drop_upper, method, p_value


def paired(n: int, losses: int, wins: int) -> Paired:
    return Paired(n, n - wins, n - losses, wins=wins, losses=losses)


@pytest.mark.parametrize(
    ("n", "losses", "wins"), [(1800, 21, 9), (500, 0, 0), (60, 0, 40), (60, 45, 2), (2000, 50, 50)]
)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_upper_is_the_smallest_certified_margin(n: int, losses: int, wins: int, confidence: float) -> None:
    counts = paired(n, losses, wins)
    upper = drop_upper(counts, "top-1", confidence)
    assert p_value(counts, upper, "top-1", confidence) <= 1 - confidence
    assert p_value(counts, upper - 1e-4, "top-1", confidence) > 1 - confidence


def test_upper_at_the_ends() -> None:
    assert drop_upper(paired(40, 40, 0), "top-1", 0.95) == 1.0
    assert drop_upper(paired(1, 0, 0), "top-1", 0.95) > 0.9
    assert drop_upper(paired(500, 0, 500), "top-1", 0.95) < -0.98
    assert drop_upper(paired(100, 3, 2), "top-1", 0.5) == pytest.approx(0.01, abs=0.01)


def test_upper_covers_over_the_whole_sample_space() -> None:
    n, error = 20, 0.1
    outcomes = [(a, b) for a in range(n + 1) for b in range(n + 1 - a)]
    counts = np.array([(a, b, n - a - b) for a, b in outcomes])
    upper = np.array([drop_upper(paired(n, a, b), "top-1", 1 - error) for a, b in outcomes])
    for drop in (-0.4, -0.05, 0.0, 0.03, 0.1, 0.35, 0.8):
        for q in np.linspace(abs(drop), 1, 40):
            p = np.array([(q + drop) / 2, max(0.0, (q - drop) / 2), max(0.0, 1 - q)])
            assert multinomial.pmf(counts, n, p / p.sum())[upper < drop].sum() <= error


def test_interval_mirrors() -> None:
    low, high = drop_interval(paired(900, 31, 12), "top-1")
    assert low <= 19 / 900 <= high
    assert drop_interval(paired(900, 12, 31), "top-1") == pytest.approx((-high, -low))
    assert high == drop_upper(paired(900, 31, 12), "top-1", 0.975)


def test_agreement_is_clopper_pearson() -> None:
    for n, losses in ((310, 0), (310, 7), (50, 50)):
        known = binomtest(losses, n, alternative="less").proportion_ci(0.95, method="exact").high
        assert known <= drop_upper(paired(n, losses, 0), "agreement", 0.95) < known + 1e-4 + 1e-12
        both = binomtest(losses, n).proportion_ci(0.95, method="exact")
        low, high = drop_interval(paired(n, losses, 0), "agreement")
        assert both.low - 1e-4 < low <= both.low
        assert both.high <= high < both.high + 1e-4 + 1e-12


def test_labels_without_wins_are_not_agreement() -> None:
    counts = paired(600, 6, 0)
    assert p_value(counts, 0.02, "top-1") > p_value(counts, 0.02, "agreement")
    assert method("top-1") != method("agreement")


def test_fixed_sequence_stops_at_the_first_failure() -> None:
    good, bad = paired(1800, 5, 6), paired(1800, 30, 9)
    verdicts = certify([("int8", good), ("int4", bad), ("fp16", good)], "top-1", 0.01, 0.95)
    assert [verdict.certified for verdict in verdicts] == [True, False, False]
    assert verdicts[0].max_drop == 0.01
    assert verdicts[0].p_value == p_value(good, 0.01)
    assert verdicts[1].reason == f"losses 30, wins 9 in 1,800: p = {verdicts[1].p_value:.3g} > 0.05 for 1.00 pt"
    assert verdicts[1].max_drop is None
    assert verdicts[2].p_value is None
    assert verdicts[2].reason == "not tested: int4, earlier in the fixed order, failed"


def test_without_a_margin_the_error_is_shared() -> None:
    good, bad = paired(1800, 5, 6), paired(1800, 30, 9)
    verdicts = certify([("a", good), ("b", bad)], "top-1", None, 0.95)
    assert [verdict.max_drop for verdict in verdicts] == [drop_upper(c, "top-1", 0.975) for c in (good, bad)]
    assert all(verdict.certified and verdict.p_value is not None for verdict in verdicts)
    assert "the share of one among 2" in verdicts[0].reason
    (alone,) = certify([("a", good)], "top-1", None, 0.95)
    assert alone.max_drop == drop_upper(good, "top-1", 0.95)
    (none,) = certify([("a", paired(5, 5, 0))], "agreement", None, 0.95)
    assert (none.certified, none.max_drop) == (False, None)
    assert certify([], "top-1", None, 0.95) == ()


def test_a_certificate_never_promises_a_gain() -> None:
    (verdict,) = certify([("a", paired(1000, 0, 100))], "top-1", None, 0.95)
    assert verdict.max_drop == 1e-4


def test_smallest_n_is_the_edge() -> None:
    for margin in (0.005, 0.01, 0.05):
        for metric in ("top-1", "agreement"):
            n = smallest_n(margin, 0.95, metric)
            assert p_value(paired(n, 0, 0), margin, metric) <= 0.05 < p_value(paired(n - 1, 0, 0), margin, metric)
    assert smallest_n(0.01, 0.95, "agreement") == 299


def test_power_agrees_with_the_full_boundary() -> None:
    n, q, drop, margin = 1200, 0.02, 0.001, 0.01
    k = np.arange(0, 61)
    boundary = np.array([critical_losses(n, int(count), margin, 0.05) for count in k])
    exact = float(np.sum(binom.pmf(k, n, q) * binom.cdf(boundary, k, (1 + drop / q) / 2)))
    assert power(n, q, drop, margin, "top-1", 0.95) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize(("q", "drop", "margin"), [(0.02, 0.0, 0.01), (0.04, 0.002, 0.02), (0.03, -0.01, 0.01)])
def test_needed_n_gives_the_power(q: float, drop: float, margin: float) -> None:
    n = needed_n(q, drop, margin, "top-1", 0.95)
    assert n is not None
    assert 0.8 <= power(n, q, drop, margin, "top-1", 0.95) < 0.83
    assert power(int(0.9 * n), q, drop, margin, "top-1", 0.95) < 0.8


def test_needed_n_at_the_ends() -> None:
    assert needed_n(0.05, 0.01, 0.01, "top-1", 0.95) is None
    assert needed_n(0.05, 0.00999, 0.01, "top-1", 0.95) is None  # more than the project reads
    assert needed_n(0.0, 0.0, 0.01, "top-1", 0.95) == smallest_n(0.01, 0.95)
    agreement = needed_n(0.005, 0.005, 0.02, "agreement", 0.95)
    assert agreement is not None
    assert power(agreement, 0.005, 0.005, 0.02, "agreement", 0.95) >= 0.8
    large = needed_n(0.5, 0.0, 0.01, "top-1", 0.95)
    assert large is not None
    assert 30_000 < large < 32_000


def test_messages() -> None:
    assert too_small_message(310, 0.01, 1143) == "n = 310 is too small to certify 1 pt; about 1,150 are needed"
    assert too_small_message(30, 0.005, 598) == "n = 30 is too small to certify 0.5 pt; about 600 are needed"
    assert "more inputs would not help" in too_small_message(310, 0.01, None)


def test_bad_arguments() -> None:
    good = paired(10, 1, 1)
    for bad in (Paired(0, 0, 0, 0, 0), Paired(5, 5, 5, wins=3, losses=3), Paired(5, 5, 5, wins=-1, losses=0)):
        with pytest.raises(DataError, match="do not fit"):
            p_value(bad, 0.01)
    with pytest.raises(DataError, match="can only fall"):
        drop_upper(good, "agreement", 0.95)
    with pytest.raises(UsageError, match="metric 'f1'"):
        certify([], "f1", 0.01, 0.95)
    for margin in (-1.0, 1.0, float("nan")):
        with pytest.raises(UsageError, match="margin"):
            p_value(good, margin)
    with pytest.raises(UsageError, match="margin 0"):
        certify([("a", good)], "top-1", 0, 0.95)
    for confidence in (0.3, 0.9999, float("nan")):
        with pytest.raises(UsageError, match="confidence"):
            drop_upper(good, "top-1", confidence)
    with pytest.raises(UsageError, match="fraction"):
        needed_n(1.5, 0.0, 0.01, "top-1", 0.95)
