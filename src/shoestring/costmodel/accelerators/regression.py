"""Fits that keep the relative error small, and how far they are off on networks that they have not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.costmodel.accelerators.conformal import conformal_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ROUNDS = 4
TAIL = 0.15
"""A point that is further off than this, in logarithms, counts less (Huber, Robust Statistics, 1981)."""

LEAST = 9
"""Points of other networks below which no 90 % interval can be had: ceil(0.9 (n + 1)) must not be above n."""

LEAST_NETWORKS = 4
"""Networks below which leaving one out says little about another one."""


@dataclass(frozen=True)
class Fitted:
    """A line or a power law through points, and its errors out of sample.

    Args:
        power: ln(time) is linear in the logarithms of the terms, instead of time in the terms.
        weights: for each term; of a line, zero or more.
        errors: |ln(predicted / actual)| of each point when its network was left out, sorted.
        largest: of each term over the points.
    """

    power: bool
    weights: NDArray[np.float64]
    errors: NDArray[np.float64]
    largest: NDArray[np.float64]

    def at(self, terms: NDArray[np.float64]) -> float:
        """The prediction."""
        return float(guess(self.weights, terms[None, :], self.power)[0])

    def spread(self, confidence: float = 0.9) -> float:
        """Factor up and down that holds with this confidence: conformal, after Barber et al., "Jackknife+", 2021."""
        return math.exp(quantile(self.errors, confidence))


def quantile(errors: NDArray[np.float64], confidence: float) -> float:
    """The conformal quantile of errors that are enough for one; there must be LEAST of them or more at 90 %."""
    found = conformal_quantile(errors, confidence)
    if found is None:
        raise ValueError(f"{len(errors)} errors cannot give an interval of {confidence:g}")
    return found


FLOOR = 1e-3
"""Terms are not taken to be smaller than this under a logarithm."""

RIDGE = 0.3
"""Pull of exponents to zero: few networks must not make a wild law."""


def fit(terms: NDArray[np.float64], ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights that minimise the robust relative error, none below zero.

    Args:
        terms: (points, terms).
        ms: (points,), above zero.
    """
    from scipy.optimize import nnls  # takes a third of a second to import, and many chips never ask

    scale = np.linalg.norm(terms / ms[:, None], axis=0)
    scale[scale == 0] = 1.0
    trust = np.ones(len(ms))
    weights = np.zeros(terms.shape[1])
    for _ in range(ROUNDS):
        # Half way between relative errors of the prediction and of the actual value: nearly the logarithm's.
        made = terms @ weights
        base = np.sqrt(ms * np.where(made > 0, made, ms))
        row = trust / base
        found, _ = nnls(terms / scale * row[:, None], ms * row)
        weights = found / scale
        off = np.abs(np.log(np.maximum(terms @ weights, 1e-12) / ms))
        trust = np.sqrt(np.minimum(1.0, TAIL / np.maximum(off, 1e-12)))
    return weights


def fit_power(terms: NDArray[np.float64], ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exponents of a power law by ridge regression on logarithms; the first term is the constant 1, its factor free."""
    logs = np.log(np.maximum(terms, FLOOR))
    logs[:, 0] = 1.0
    pull = RIDGE * np.diag([0.0, *([1.0] * (terms.shape[1] - 1))])
    return np.asarray(np.linalg.solve(logs.T @ logs + pull, logs.T @ np.log(ms)))


def guess(weights: NDArray[np.float64], terms: NDArray[np.float64], power: bool) -> NDArray[np.float64]:
    """Predictions, ms."""
    if not power:
        return np.maximum(terms @ weights, 1e-9)
    logs = np.log(np.maximum(terms, FLOOR))
    logs[:, 0] = 1.0
    return np.asarray(np.exp(logs @ weights))


def fitted(terms: NDArray[np.float64], ms: NDArray[np.float64], models: Sequence[str]) -> Fitted | None:
    """Fit, and leave each network out in turn; None where fewer than LEAST points are left to judge by.

    Where the first term is the constant 1 a power law is tried too; the narrower interval decides.

    Args:
        terms: (points, terms).
        ms: (points,).
        models: the network of each point.
    """
    if len(ms) < LEAST or len(set(models)) < LEAST_NETWORKS:
        return None
    both = [_left_out(terms, ms, models, power) for power in (False, True)[: 1 + bool(np.all(terms[:, 0] == 1))]]
    return min(both, key=lambda one: quantile(one.errors, 0.9))


def _left_out(terms: NDArray[np.float64], ms: NDArray[np.float64], models: Sequence[str], power: bool) -> Fitted:
    learn = fit_power if power else fit
    names = np.array(models)
    errors = np.empty(len(ms))
    for name in dict.fromkeys(models):
        out = names == name
        weights = learn(terms[~out], ms[~out])
        errors[out] = np.abs(np.log(guess(weights, terms[out], power) / ms[out]))
    return Fitted(power, learn(terms, ms), np.sort(errors), terms.max(axis=0))
