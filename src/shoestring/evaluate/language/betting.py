"""A test of the mean of bounded values that holds for every number of them: by betting.

Somebody bets against "the mean is at least m". Before each value x in [0, 1] a part of the capital goes on it: capital
is multiplied by 1 + c (m - x) / (1 - m), which is never below 1 - c, with c in [0, 1]. While the mean is at least m, no
such game is expected to win: its capital after all values has mean at most 1, so by Markov's inequality it reaches
1 / p with a chance of at most p (Waudby-Smith and Ramdas 2024, JRSS B 86:1, arXiv 2010.09686, propositions 2 and 3;
Shafer and Vovk 2019). The capital is spread over a fixed grid of c, so nothing is learnt from what it is held against,
and the order of the values does not matter. The grid follows the arcsine law, as Cover and Ordentlich's universal
portfolio (1996, IEEE Transactions on Information Theory 42:348), which costs least where the best bet is not known.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BETS = 64  # values of c; twice as many change p by less than a hundredth of itself
METHOD = "betting on the capped mean of blocks (Waudby-Smith and Ramdas 2024), spread over 64 fixed bets"
PRECISION = 1e-3  # relative, of a smallest margin; rounded up
_SHARES = np.sin(np.pi / 2 * (np.arange(BETS) + 0.5) / BETS) ** 2

Numbers = np.ndarray[Any, np.dtype[np.float64]]


def p_value(values: Sequence[float], margin: float, cap: float) -> float:
    """Evidence against "the mean of min(value, cap) is at least `margin`"; valid for every number of values.

    Args:
        values: at least 0, of independent blocks.
        margin: in (0, cap), the unit of the values.
        cap: above 0.

    Returns:
        p in (0, 1]; it falls as `margin` grows.

    Raises:
        DataError: no values, or one that is below 0 or not a number.
        UsageError: margin or cap out of range.
    """
    capped = _scaled(values, cap)
    check_bounds(margin, cap)
    return _p(capped, margin / cap)


def upper_limit(values: Sequence[float], cap: float, error: float) -> float | None:
    """The smallest margin with p <= `error`, rounded up by at most PRECISION of itself; None: none below the cap.

    Args:
        values, cap: as in `p_value`.
        error: in (0, 1).

    Raises:
        DataError, UsageError: as `p_value`.
    """
    capped = _scaled(values, cap)
    low, high = float(capped.mean()), 1 - 1e-9
    if _p(capped, high) > error:
        return None
    while high - low > PRECISION * high / 2:
        middle = (low + high) / 2
        if _p(capped, middle) <= error:
            high = middle
        else:
            low = middle
    return high * cap


def smallest_blocks(margin: float, cap: float, error: float) -> int:
    """The fewest blocks that can certify `margin` at all: when the variant never differs from the original."""
    check_bounds(margin, cap)
    return _search(lambda n: _p(np.zeros(n), margin / cap) <= error)


def needed_blocks(values: Sequence[float], margin: float, cap: float, error: float, power: float = 0.8) -> int | None:
    """How many blocks would let a variant whose blocks are like these pass with a chance of about `power`.

    The logarithm of each bet's capital is a sum of independent terms; its (1 - power) quantile is taken from the normal
    approximation, and the mean over bets of what these make shall reach 1 / error.

    Args:
        values: of the selection split, so that the certification split stays unused.
        margin, cap, error: as in `p_value` and `upper_limit`.
        power: in (0, 1).

    Returns:
        None when no number helps: their mean is not below the margin.
    """
    from statistics import NormalDist

    capped = _scaled(values, cap)
    check_bounds(margin, cap)
    if float(capped.mean()) >= margin / cap:
        return None
    gains = _logs(capped, margin / cap)
    growth, spread = gains.mean(axis=1), gains.std(axis=1)
    if float(growth.max()) <= 0:
        return None
    quantile = NormalDist().inv_cdf(power)

    def passes(n: int) -> bool:
        return _log_mean(n * growth - quantile * math.sqrt(n) * spread) >= math.log(1 / error)

    return max(smallest_blocks(margin, cap, error), _search(passes))


def too_few_message(n: int, margin: float, needed: int | None) -> str:
    """`n = 30 blocks are too few to certify a KL of 0.05; about 120 are needed`."""
    if needed is None:
        return f"n = {n:,} blocks cannot certify a KL of {margin:.3g}, and more would not help: it is too near or above"
    return f"n = {n:,} blocks are too few to certify a KL of {margin:.3g}; about {needed:,} are needed"


def check_bounds(margin: float, cap: float) -> None:
    """Raises UsageError unless 0 < margin < cap."""
    if not 0 < margin < cap < math.inf:
        raise UsageError(f"a margin of {margin} under a cap of {cap}", hint="0 < margin < cap, in nats")


def _scaled(values: Sequence[float], cap: float) -> Numbers:
    found = np.asarray(values, float)
    if not 0 < cap < math.inf:
        raise UsageError(f"a cap of {cap}", hint="above zero, in nats")
    if found.ndim != 1 or len(found) == 0 or not (found >= 0).all():
        raise DataError(f"{len(found)} values, not all numbers of at least 0", hint="KL of at least one block")
    return np.asarray(np.minimum(found, cap) / cap, float)


def _logs(capped: Numbers, margin: float) -> Numbers:
    """Logarithm of what each bet makes of each value: (bets, values)."""
    return np.asarray(np.log1p(_SHARES[:, None] * (margin - capped[None, :]) / (1 - margin)), float)


def _p(capped: Numbers, margin: float) -> float:
    log_mean = _log_mean(_logs(capped, margin).sum(axis=1))
    return min(1.0, math.exp(-max(-700.0, min(700.0, log_mean))))


def _log_mean(logs: Numbers) -> float:
    """Logarithm of the mean of what these are logarithms of."""
    highest = float(logs.max())
    return highest + math.log(float(np.exp(logs - highest).mean()))


def _search(holds: Callable[[int], bool]) -> int:
    """The smallest n at which a statement holds that goes on to hold."""
    high = 1
    while not holds(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
