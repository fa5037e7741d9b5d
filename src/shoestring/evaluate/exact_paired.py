"""The exact unconditional test of "the drop is at least m" on paired outcomes, valid for every n.

The p-value is the largest probability, over all models for which the drop is m, of an outcome at or before the observed
one in the order of `ordering.py`. What remains unknown then is q, the rate at which the two models differ. Following
Berger and Boos (1994, JASA 89:1012; for this problem Sidik 2003, Statistics in Medicine 22:265) q runs over a
confidence set of level 1 - GAMMA only, and GAMMA is added. The maximum over q is bounded, not sampled:
docs/statistics.md has the proofs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType

import numpy as np

from shoestring.base.errors import MissingExtraError
from shoestring.evaluate.ordering import Floats, Ints, score_limit, thresholds

GAMMA = 1e-5  # chance that q lies outside its confidence set: a five-thousandth of the usual 0.05
ROUNDING = 1e-8  # added to every p-value: several times the error of the special functions at n = 2,000,000
GRID_RELATIVE = 2e-3  # how far the bound may lie above the largest value seen: 0.0001 at p = 0.05 ...
GRID_ABSOLUTE = 1e-5  # ... and no finer than GAMMA
START_POINTS = 33
MAX_ROUNDS = 40  # each halves what is still open; at the end the bound holds, only looser


def special() -> ModuleType:
    """scipy.special, imported on first use.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    try:
        import scipy.special
    except ImportError as error:
        raise MissingExtraError("scipy", "fit") from error
    return scipy.special


def normal_quantile(probability: float) -> float:
    """z with P(standard normal <= z) = probability, in (0, 1)."""
    return float(special().ndtri(probability))


@dataclass(frozen=True)
class Tail:
    """All outcomes at or before an observed one, for each K that is likely enough to matter.

    Args:
        n: inputs.
        discordant: consecutive K.
        most_losses: for each K the most losses that still belong to the tail, -1 for none.
        q_low: lower end of the confidence set of q.
        q_high: upper end.
    """

    n: int
    discordant: Ints
    most_losses: Ints
    q_low: float
    q_high: float


def rate_bounds(n: int, count: int, error: float) -> tuple[float, float]:
    """Two-sided Clopper-Pearson interval (1934, Biometrika 26:404) of a rate; `error` is split evenly."""
    betaincinv = special().betaincinv
    low = 0.0 if count == 0 else float(betaincinv(count, n - count + 1, error / 2))
    high = 1.0 if count == n else float(betaincinv(count + 1, n - count, 1 - error / 2))
    return low, high


def _window(n: int, q_low: float, q_high: float) -> tuple[int, int]:
    # Seven deviations and a Poisson allowance; what lies outside is counted as probability, so any choice is safe.
    first = int(n * q_low - 7 * (n * q_low) ** 0.5 - 1)
    last = int(n * q_high + 7 * (n * q_high) ** 0.5 + 25)
    return max(0, first), min(n, last)


@lru_cache(maxsize=512)
def observed_tail(n: int, losses: int, wins: int, error: float) -> Tail:
    """The tail of one observed outcome, in the order tuned to `error`. It does not depend on the margin."""
    q_low, q_high = rate_bounds(n, losses + wins, GAMMA)
    first, last = _window(n, q_low, q_high)
    discordant = np.arange(first, last + 1, dtype=np.int64)
    z = normal_quantile(1 - error)
    return Tail(n, discordant, thresholds(n, discordant, score_limit(n, losses, wins, z), z), q_low, q_high)


def tail_probability(tail: Tail, q: Floats, margin: float) -> Floats:
    """Probability of the tail when the models differ at rate q and the drop is `margin`.

    K is Binomial(n, q), and given K the losses are Binomial(K, (1 + margin / q) / 2).

    Args:
        tail: from `observed_tail`.
        q: (points,), each in [abs(margin), 1].
        margin: in (-1, 1).

    Returns:
        (points,), rounded up by what lies outside the window of K.
    """
    sp = special()
    k, t = tail.discordant.astype(np.float64), tail.most_losses.astype(np.float64)
    rate = q[:, None]
    loss = np.clip((1 + margin / np.maximum(rate, 1e-300)) / 2, 0.0, 1.0)
    open_ = (t >= 0) & (t < k)
    below = sp.betainc(np.where(open_, k - t, 1.0), np.where(open_, t + 1, 1.0), 1 - loss)
    below = np.where(open_, below, np.where(t < 0, 0.0, 1.0))
    log_weight = sp.xlogy(k, rate) + sp.xlog1py(tail.n - k, -rate) - sp.gammaln(k + 1) - sp.gammaln(tail.n - k + 1)
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    outside = sp.bdtr(tail.discordant[0] - 1, tail.n, q) if tail.discordant[0] > 0 else np.zeros_like(q)
    outside = outside + (sp.bdtrc(tail.discordant[-1], tail.n, q) if tail.discordant[-1] < tail.n else 0.0)
    inside: Floats = (weight * below).sum(axis=1)
    total: Floats = np.minimum(1.0, (1 - outside) * inside + outside)
    return total


def interval_bounds(n: int, margin: float, q: Floats, value: Floats) -> Floats:
    """An upper bound of the tail probability on each interval between neighbouring points of q.

    With g the probability of any fixed set of outcomes and I the Fisher information of q in one input:
    |g'| <= n (coupling), |g'| <= sqrt(g (1 - g) n I) and |g''| <= sqrt(2 g (1 - g)) n I (Cauchy-Schwarz on the score
    and on the second derivative of the likelihood). Each gives a bound; the least holds.

    Args:
        n: inputs.
        margin: in (-1, 1).
        q: (points,), ascending.
        value: (points,), g there.

    Returns:
        (points - 1,).
    """
    step = np.diff(q)
    with np.errstate(divide="ignore", invalid="ignore"):
        # I is convex in q, so its maximum on an interval is at an end; it is infinite where a category vanishes.
        information = 0.5 / (q + margin) + 0.5 / (q - margin) + 1 / (1 - q)
    information = np.where(np.isfinite(information) & (information > 0), information, np.inf)
    information = n * np.maximum(information[:-1], information[1:])
    left, right = value[:-1], value[1:]
    coupling = (left + right + n * step) / 2
    angle = np.arcsin(np.sqrt(np.clip(value, 0.0, 1.0)))
    reach = (angle[:-1] + angle[1:] + step * np.sqrt(information) / 2) / 2
    first_order = np.sin(np.minimum(reach, np.pi / 2)) ** 2
    cap = np.minimum(first_order, 0.5)
    second_order = np.maximum(left, right) + step**2 / 8 * np.sqrt(2 * cap * (1 - cap)) * information
    bound: Floats = np.minimum(1.0, np.minimum(coupling, np.minimum(first_order, second_order)))
    return bound


def largest_probability(tail: Tail, margin: float) -> float:
    """An upper bound of max over q of `tail_probability`, at most max(GRID_RELATIVE p, GRID_ABSOLUTE) too large."""
    if margin > tail.q_high:
        # A drop needs as many differing inputs: no model of the hypothesis has its q in the confidence set.
        return 0.0
    floor = abs(margin)
    low, high = max(tail.q_low, floor), max(tail.q_high, floor)
    # Even steps in sqrt(q - |m|) are nearly even in how well the data can tell two q apart.
    q = floor + np.linspace((low - floor) ** 0.5, (high - floor) ** 0.5, START_POINTS) ** 2
    q = np.unique(np.clip(q, low, high))
    value = tail_probability(tail, q, margin)
    for _ in range(MAX_ROUNDS):
        if len(q) == 1:
            break
        bound = interval_bounds(tail.n, margin, q, value)
        best = float(value.max())
        wide = np.flatnonzero(bound > best + max(GRID_RELATIVE * best, GRID_ABSOLUTE))
        if len(wide) == 0:
            return max(best, float(bound.max()))
        middle = (q[wide] + q[wide + 1]) / 2
        q = np.insert(q, wide + 1, middle)
        value = np.insert(value, wide + 1, tail_probability(tail, middle, margin))
    else:
        return float(max(value.max(), interval_bounds(tail.n, margin, q, value).max()))
    return float(value.max())


@lru_cache(maxsize=65536)
def trinomial_p(n: int, losses: int, wins: int, margin: float, error: float) -> float:
    """p-value of "P(loss) - P(win) >= margin". It falls as the margin grows, and for a + b fixed rises with a.

    Any `error` that is fixed beforehand gives a valid p-value; the one it will be compared with gives the most power.

    Args:
        n: inputs, at least 1.
        losses: 0..n.
        wins: 0..n - losses.
        margin: in (-1, 1).
        error: in (0, 0.5], that the order is tuned to.

    Returns:
        In (0, 1]; never below GAMMA.
    """
    return min(1.0, largest_probability(observed_tail(n, losses, wins, error), margin) + GAMMA + ROUNDING)


def binomial_p(n: int, losses: int, margin: float) -> float:
    """p-value of "P(loss) >= margin" when wins cannot happen: P(Binomial(n, margin) <= losses), exact.

    Args:
        n: inputs, at least 1.
        losses: 0..n.
        margin: in (0, 1).
    """
    return 1.0 if losses == n else min(1.0, float(special().betainc(n - losses, losses + 1, 1 - margin)))
