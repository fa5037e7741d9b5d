"""Fits against laws whose answer is known, and intervals that hold on networks left out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shoestring.costmodel.accelerators.regression import LEAST, fit, fitted, guess, quantile


def made(seed: int, count: int = 60, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    terms = np.column_stack([np.ones(count), np.exp(rng.normal(0, 1, count)), np.exp(rng.normal(1, 1, count))])
    ms = terms @ [0.5, 2.0, 0.3] * np.exp(rng.normal(0, noise, count))
    return terms, ms, [f"net{i % 20}" for i in range(count)]


def test_the_weights_of_a_clean_law_come_back() -> None:
    terms, ms, _ = made(1, noise=0.0)
    assert fit(terms, ms) == pytest.approx([0.5, 2.0, 0.3], rel=1e-3)


def test_no_weight_is_below_zero_and_an_outlier_does_not_bend_the_line() -> None:
    terms, ms, _ = made(2, noise=0.02)
    ms[0] *= 20
    weights = fit(terms, ms)
    assert (weights >= 0).all()
    assert weights == pytest.approx([0.5, 2.0, 0.3], rel=0.15)


def test_a_power_law_is_found_where_it_fits_better() -> None:
    terms, _, models = made(3)
    ms = 3 * terms[:, 1] ** 0.6
    line = fitted(terms, ms, models)
    assert line is not None and line.power
    assert line.at(np.array([1.0, 4.0, 1.0])) == pytest.approx(3 * 4**0.6, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_intervals_hold_for_networks_nobody_fitted(seed: int) -> None:
    terms, ms, models = made(seed, count=260, noise=0.2)
    line = fitted(terms[:60], ms[:60], models[:60])
    assert line is not None
    off = np.abs(np.log(guess(line.weights, terms[60:], line.power) / ms[60:]))
    assert 0.8 <= float(np.mean(off <= math.log(line.spread()))) <= 0.98


def test_errors_of_the_fit_itself_would_give_too_narrow_an_interval() -> None:
    """What leaving out is for: with nearly as many terms as points, the fit's own errors are far too small."""
    rng = np.random.default_rng(7)
    terms = np.exp(rng.normal(0, 1, (12, 8)))
    ms = np.exp(rng.normal(0, 0.5, 12))
    line = fitted(terms, ms, [f"n{i}" for i in range(12)])
    assert line is not None
    own = np.abs(np.log(guess(line.weights, terms, line.power) / ms))
    assert quantile(own, 0.9) < 0.9 * math.log(line.spread())


def test_too_few_points_give_no_fit() -> None:
    terms, ms, models = made(4, count=LEAST - 1)
    assert fitted(terms, ms, models) is None
    assert fitted(*made(4, count=20)[:2], ["one"] * 20) is None


def test_a_quantile_that_cannot_be_had_is_an_error() -> None:
    with pytest.raises(ValueError, match="8 errors cannot give"):
        quantile(np.ones(8), 0.9)
