"""The order in which paired outcomes speak for a small drop: by the upper limit of the score test.

An outcome is (losses a, wins b) out of n. The score statistic of "P(loss) - P(win) = m" is

    Z_m(a, b) = (a - b - n m) / sqrt(n (2 x + m - m^2)),

where x is the maximum-likelihood estimate of P(win) under that restriction (Nam 1997, Biometrics 53:1422; Tango 1998,
Statistics in Medicine 17:891). Outcomes are ordered by the m at which Z_m falls to -z, for a z fixed beforehand.
Z_m rises with a, falls with b, rises with a when a + b is fixed, and falls with m (proved in docs/statistics.md); the
exact test rests on that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TIE = 1e-9  # outcomes this close in Z count as tied, so rounding can only enlarge the tail
_LIMIT_STEPS = 60  # halvings of (-1, 1): below the spacing of doubles


def restricted_wins(n: int, losses: ArrayLike, wins: ArrayLike, margin: float) -> Floats:
    """P(win) that makes the counts most likely when P(loss) - P(win) = margin.

    The larger root of 2n x^2 - B x - b m (1 - m) = 0 with B = (a + b)(1 - m) - 2m(n - a), which is where the derivative
    a/(x+m) + b/x - 2c/(1-m-2x) of the log-likelihood vanishes.

    Args:
        n: inputs, at least 1.
        losses: a, each 0..n.
        wins: b, each 0..n - a, of a shape that broadcasts with `losses`.
        margin: m in (-1, 1).

    Returns:
        x in [max(0, -m), (1 - m) / 2], of the broadcast shape.
    """
    a, b = np.asarray(losses, dtype=np.float64), np.asarray(wins, dtype=np.float64)
    linear = (a + b) * (1 - margin) - 2 * margin * (n - a)
    constant = b * margin * (1 - margin)
    root = np.sqrt(np.maximum(0.0, linear * linear + 8 * n * constant))
    # Below zero the textbook form subtracts two numbers that are nearly equal.
    below = 2 * constant / np.where(linear < 0, root - linear, 1.0)
    x = np.where(linear < 0, below, (linear + root) / (4 * n))
    return np.clip(x, max(0.0, -margin), (1 - margin) / 2)


def score(n: int, losses: ArrayLike, wins: ArrayLike, margin: float) -> Floats:
    """Z of "the drop is `margin`": far below zero speaks for a smaller drop. Arguments as in `restricted_wins`."""
    a, b = np.asarray(losses, dtype=np.float64), np.asarray(wins, dtype=np.float64)
    variance = n * (2 * restricted_wins(n, a, b, margin) + margin * (1 - margin))
    excess = a - b - n * margin
    # Zero variance happens at margin 0 without a single difference: no evidence either way.
    return np.where(variance > 0, excess / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0)


def score_limit(n: int, losses: int, wins: int, z: float) -> float:
    """The drop at which Z falls to -z: an approximate upper limit, and the key of the order.

    Returns:
        In (-1, 1]; 1 when every input is a loss. Rounded up by at most 1e-15.
    """
    if losses == n:
        return 1.0
    low, high = -1.0, 1.0
    for _ in range(_LIMIT_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if float(score(n, losses, wins, middle)) <= -z:
            high = middle
        else:
            low = middle
    return high


def thresholds(n: int, discordant: Ints, margin: float, z: float) -> Ints:
    """For each count K of inputs that differ: the most losses a with Z(a, K - a) <= -z, ties included.

    Args:
        n: inputs.
        discordant: K, each 0..n.
        margin: m of the statistic, in (-1, 1]; at 1 every outcome qualifies.
        z: 1.645 for an error of 5 %.

    Returns:
        -1 (none) to K, of the shape of `discordant`.
    """
    if margin >= 1:
        return discordant.copy()
    low, high = np.full_like(discordant, -1), discordant.copy()
    while np.any(low < high):
        middle = (low + high + 1) // 2
        inside = score(n, middle, discordant - middle, margin) <= -z + TIE * (1 + abs(z))
        low, high = np.where(inside, middle, low), np.where(inside, high, middle - 1)
    return low
