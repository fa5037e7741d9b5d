"""How many certification inputs it takes, by the same test that certifies."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from shoestring.base.errors import UsageError
from shoestring.base.limits import MAX_IMAGES
from shoestring.domain.score import is_agreement
from shoestring.evaluate.exact_paired import binomial_p, normal_quantile, special, trinomial_p
from shoestring.evaluate.ordering import thresholds
from shoestring.evaluate.statistics import check_confidence, check_margin, check_metric

KNOTS = 7  # counts of differing inputs at which the exact boundary is found; between them its offset is interpolated
PRECISION = 0.01  # needed_n is found to one per cent
EXACT_UP_TO = 1_000  # expected differing inputs; above it the normal approximation is within two per cent of the test
MAX_STEPS = 8  # two or three suffice; saw teeth may take more


def critical_losses(n: int, discordant: int, margin: float, error: float) -> int:
    """The most losses among `discordant` differing inputs that still certify `margin` with labels.

    Args:
        n: inputs.
        discordant: inputs on which the models differ, 0..n.
        margin: in (0, 1).
        error: 1 - confidence.

    Returns:
        -1 when not even `discordant` wins certify, else 0..discordant.
    """
    # The p-value rises with the losses, so walking from the asymptotic answer finds the boundary.
    losses = int(thresholds(n, np.array([discordant]), margin, normal_quantile(1 - error))[0])
    while losses < discordant and trinomial_p(n, losses + 1, discordant - losses - 1, margin, error) <= error:
        losses += 1
    while losses >= 0 and trinomial_p(n, losses, discordant - losses, margin, error) > error:
        losses -= 1
    return losses


def power(n: int, discordance: float, drop: float, margin: float, metric: str, confidence: float) -> float:
    """Probability that a variant with this true discordance and drop is certified.

    For agreement it is exact; else the boundary is exact at KNOTS counts within four deviations and interpolated
    between them, which moves the answer by less than the saw teeth that it has in n.

    Args:
        n: certification inputs, at least 1.
        discordance: P(loss) + P(win), in [abs(drop), 1].
        drop: P(loss) - P(win).
        margin: to certify, in (0, 1).
        metric: `top-1`, `top-5` or `agreement`.
        confidence: in [0.5, 0.999].
    """
    sp, error = special(), 1 - confidence
    if is_agreement(metric):
        losses = _largest(lambda count: binomial_p(n, count, margin) <= error, n)
        return 0.0 if losses < 0 else float(sp.bdtr(losses, n, drop))
    spread = 4 * math.sqrt(n * discordance) + 4
    low, high = max(0, int(n * discordance - spread)), min(n, int(n * discordance + spread))
    k = np.arange(low, high + 1, dtype=np.int64)
    knots = np.unique(np.linspace(low, high, KNOTS).astype(np.int64))
    asymptotic = thresholds(n, k, margin, normal_quantile(1 - error))
    offset = np.array([critical_losses(n, int(count), margin, error) - asymptotic[count - low] for count in knots])
    boundary = np.minimum(k, asymptotic + np.round(np.interp(k, knots, offset)))
    loss = (1 + drop / discordance) / 2 if discordance > 0 else 0.5
    inner = np.where(boundary < 0, 0.0, sp.bdtr(np.maximum(boundary, 0), k, loss))
    log_weight = sp.xlogy(k, discordance) + sp.xlog1py(n - k, -discordance)
    log_weight = log_weight + sp.gammaln(n + 1) - sp.gammaln(k + 1) - sp.gammaln(n - k + 1)
    return float(min(1.0, np.sum(np.exp(log_weight) * inner)))


def needed_n(
    discordance: float, drop: float, margin: float, metric: str, confidence: float, power_wanted: float = 0.8
) -> int | None:
    """How many certification inputs would let a variant with this true discordance and drop pass.

    The normal approximation n = ((z_a + z_b)^2 (q - d^2)) / (m - d)^2 starts a search with `power`.

    Args:
        discordance: true P(loss) + P(win), as a fraction; raised to abs(drop) where an estimate is below it.
        drop: true P(loss) - P(win).
        margin: in (0, 1).
        metric: `top-1`, `top-5` or `agreement`.
        confidence: in [0.5, 0.999].
        power_wanted: in (0, 1): the chance to pass.

    Returns:
        The count, to one per cent; None when no count helps (drop >= margin), or more than 2,000,000 are needed.

    Raises:
        UsageError: an argument is out of range.
    """
    check_metric(metric)
    check_margin(margin)
    check_confidence(confidence)
    if not (0 <= discordance <= 1 and -1 <= drop <= 1 and 0 < power_wanted < 1):
        raise UsageError(f"discordance {discordance}, drop {drop} or power {power_wanted} is not a fraction")
    if drop >= margin:
        return None
    fewest = smallest_n(margin, confidence, metric)
    discordance = max(discordance, abs(drop))
    if discordance == 0:
        return fewest
    z_error = normal_quantile(confidence)
    z_sum = z_error + normal_quantile(power_wanted)
    start = z_sum**2 * (discordance - drop**2) / (margin - drop) ** 2
    if start > MAX_IMAGES:
        return None
    if not is_agreement(metric) and start * discordance > EXACT_UP_TO:
        return math.ceil(start)
    n = max(fewest, math.ceil(start))
    for _ in range(MAX_STEPS):
        reached = power(n, discordance, drop, margin, metric, confidence)
        # The probit of the power is nearly linear in sqrt(n), from -z_a at 0.
        z_reached = z_error + normal_quantile(min(max(reached, 1e-6), 1 - 1e-6))
        guess = math.ceil(n * min(4.0, max(0.25, z_sum / max(z_reached, 0.1))) ** 2)
        if reached >= power_wanted and (n == fewest or guess >= n * (1 - PRECISION)):
            return n
        # Saw teeth can hold the guess at n although the power is short there.
        n = max(fewest, guess if guess != n else n + 1)
    while power(n, discordance, drop, margin, metric, confidence) < power_wanted:
        n = math.ceil(n * (1 + PRECISION))
    return n


def smallest_n(margin: float, confidence: float, metric: str = "top-1") -> int:
    """The fewest inputs that can certify `margin` at all: when the variant never differs from the original.

    Args:
        margin: in (0, 1).
        confidence: in [0.5, 0.999].
        metric: `top-1`, `top-5` or `agreement`.

    Raises:
        UsageError: an argument is out of range.
    """
    check_metric(metric)
    check_margin(margin)
    check_confidence(confidence)
    error = 1 - confidence
    # Without a difference p >= (1 - margin)^n for both metrics, with equality for agreement.
    n: int = max(1, math.ceil(math.log(error) / math.log1p(-margin) - 1e-9))
    if is_agreement(metric):
        return n
    high = n
    while trinomial_p(high, 0, 0, margin, error) > error:
        high = int(high * 1.1) + 1
    low = n - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if trinomial_p(middle, 0, 0, margin, error) <= error else (middle, high)
    return high


def too_small_message(n: int, margin: float, needed: int | None) -> str:
    """The sentence for a split that is too small: `n = 310 is too small to certify 1 pt; about 1,150 are needed`.

    Args:
        n: inputs at hand.
        margin: asked, a fraction.
        needed: from `needed_n`; None when no count would do.
    """
    points = f"{100 * margin:.4g} pt"
    if needed is None:
        return f"n = {n:,} cannot certify {points}, and more inputs would not help: the drop is too near to it or above"
    return f"n = {n:,} is too small to certify {points}; about {_round_up(needed):,} are needed"


def _round_up(count: int) -> int:
    step = max(1, int(10.0 ** (len(str(count)) - 1)) // 20)
    return -(-count // step) * step


def _largest(holds: Callable[[int], bool], n: int) -> int:
    low, high = -1, n
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
