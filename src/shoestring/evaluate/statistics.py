"""What paired counts prove about the drop: p-values, limits and certificates that hold for every n.

The drop is P(loss) - P(win). With labels both can happen and the exact unconditional test of `exact_paired.py` applies;
agreement can only fall, so there the losses are binomial. docs/statistics.md has the method, its sources and proofs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from shoestring.base.errors import DataError, UsageError
from shoestring.base.units import format_points
from shoestring.domain.score import METRICS, Paired, is_agreement
from shoestring.evaluate.exact_paired import binomial_p, rate_bounds, trinomial_p

MIN_CONFIDENCE, MAX_CONFIDENCE = 0.5, 0.999  # above it the test's own reserve would be a large part of the error
LATTICE = 10_000  # limits are rounded outwards to 1/10,000: a hundredth of a point


@dataclass(frozen=True)
class Verdict:
    """What the certification split says of one candidate.

    Args:
        name: of the candidate.
        certified: whether "the drop is at most max_drop" holds at the asked confidence, for all candidates together.
        max_drop: the certified margin, a fraction; None when nothing is certified.
        p_value: of "the drop is at least the margin"; None when it was not tested.
        reason: in words, with the numbers.
    """

    name: str
    certified: bool
    max_drop: float | None
    p_value: float | None
    reason: str


def method(metric: str) -> str:
    """The statistical method with its source, for certificates. Raises UsageError on an unknown metric."""
    check_metric(metric)
    if is_agreement(metric):
        return "exact binomial test (Clopper and Pearson 1934)"
    return (
        "exact unconditional test of paired outcomes, ordered by the score limit (Tango 1998), "
        "maximised over a confidence set of the discordance (Berger and Boos 1994)"
    )


def check_metric(metric: str) -> None:
    """Raises UsageError unless `metric` is one we can certify."""
    if metric not in METRICS:
        raise UsageError(
            f"metric {metric!r} is not one of {', '.join(METRICS)}", hint="use top-1 when labels are known"
        )


def check_margin(margin: float, low: float = 0.0) -> None:
    """Raises UsageError unless low < margin < 1."""
    if not low < margin < 1:
        raise UsageError(f"margin {margin} is outside ({low:g}, 1)", hint="0.01 is one percentage point")


def check_confidence(confidence: float) -> None:
    """Raises UsageError unless confidence lies in [0.5, 0.999]."""
    if not MIN_CONFIDENCE <= confidence <= MAX_CONFIDENCE:
        raise UsageError(
            f"confidence {confidence} is outside [{MIN_CONFIDENCE}, {MAX_CONFIDENCE}]", hint="0.95 is a usual choice"
        )


def check_paired(paired: Paired, metric: str) -> None:
    """Raises DataError when the counts cannot be counts of this metric, UsageError on an unknown metric."""
    check_metric(metric)
    n, losses, wins = paired.n, paired.losses, paired.wins
    if n < 1 or losses < 0 or wins < 0 or losses + wins > n:
        raise DataError(
            f"losses {losses} and wins {wins} do not fit into {n} inputs",
            hint="score the original and the variant on the same inputs, at least one",
        )
    if is_agreement(metric) and wins:
        raise DataError(f"agreement with {wins} wins", hint="agreement can only fall; with labels the metric is top-1")


def p_value(paired: Paired, margin: float, metric: str = "top-1", confidence: float = 0.95) -> float:
    """Evidence against "the true drop is at least `margin`", exact or conservative for every n.

    Args:
        paired: counts over the same inputs.
        margin: a fraction in (-1, 1); for agreement in (0, 1).
        metric: `top-1` and `top-5` (trinomial) or `agreement` (binomial).
        confidence: in [0.5, 0.999], that p will be held against. It tunes the order in which outcomes count as more
            extreme; p is valid at any other too, but has the most power here.

    Returns:
        p in (0, 1]: whatever the model, P(p <= u) <= u when the drop is at least `margin`. It falls as `margin` grows.

    Raises:
        DataError: impossible counts.
        UsageError: margin, metric or confidence out of range.
    """
    check_paired(paired, metric)
    check_margin(margin, 0.0 if is_agreement(metric) else -1.0)
    check_confidence(confidence)
    return _p(paired, margin, metric, 1 - confidence)


def drop_upper(paired: Paired, metric: str, confidence: float) -> float:
    """The smallest margin that these counts certify, rounded up to a hundredth of a point.

    Args:
        paired: counts over the same inputs.
        metric: as in `p_value`.
        confidence: in [0.5, 0.999].

    Returns:
        In (-1, 1]; below zero when the variant is proven better. The true drop lies at or below it with `confidence`.

    Raises:
        DataError, UsageError: as in `p_value`.
    """
    check_paired(paired, metric)
    check_confidence(confidence)
    return _upper(paired, metric, 1 - confidence)


def drop_interval(paired: Paired, metric: str, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of the true drop: two one-sided limits at half the error each, rounded outwards.

    Args, Raises: as in `drop_upper`.

    Returns:
        (low, high), fractions in [-1, 1]; for agreement in [0, 1].
    """
    check_paired(paired, metric)
    check_confidence(confidence)
    error = 1 - confidence
    high = _upper(paired, metric, error / 2)
    if is_agreement(metric):
        return math.floor(rate_bounds(paired.n, paired.losses, error)[0] * LATTICE) / LATTICE, high
    mirrored = Paired(paired.n, paired.variant_hits, paired.original_hits, wins=paired.losses, losses=paired.wins)
    return 0.0 - _upper(mirrored, metric, error / 2), high


def _p(paired: Paired, margin: float, metric: str, error: float) -> float:
    if is_agreement(metric):
        return binomial_p(paired.n, paired.losses, margin)
    return trinomial_p(paired.n, paired.losses, paired.wins, float(margin), error)


def _upper(paired: Paired, metric: str, error: float) -> float:
    if is_agreement(metric):
        return math.ceil(rate_bounds(paired.n, paired.losses, 2 * error)[1] * LATTICE) / LATTICE
    # The p-value falls as the margin grows, so a bracket that doubles and then halves finds the one crossing.
    step = max(1, int(LATTICE / math.sqrt(paired.n) * 0.1))
    failing = math.floor(paired.drop * LATTICE) - 1
    passing = failing
    while passing < LATTICE and not _rejects(paired, passing, error):
        failing, passing, step = passing, min(LATTICE, passing + step), 2 * step
    if passing == failing:  # only for error near 1/2, where the limit may lie below the observed drop
        failing = -LATTICE
    while passing - failing > 1:
        middle = (passing + failing) // 2
        if _rejects(paired, middle, error):
            passing = middle
        else:
            failing = middle
    return passing / LATTICE


def _rejects(paired: Paired, margin_lattice: int, error: float) -> bool:
    if not -LATTICE < margin_lattice < LATTICE:  # a drop of at most 1 needs no proof, one of at most -1 has none
        return margin_lattice >= LATTICE
    return trinomial_p(paired.n, paired.losses, paired.wins, margin_lattice / LATTICE, error) <= error


def certify(
    candidates: Sequence[tuple[str, Paired]], metric: str, margin: float | None, confidence: float
) -> tuple[Verdict, ...]:
    """Certificates that all hold together at `confidence`, on a split that no choice has seen.

    With a margin: the candidates are tested in the given order, each at the full error, up to the first failure. The
    first wrong one in the order must be rejected for any wrong certificate to be given, so the family's error is that
    of one test (Maurer, Hothorn and Lehmacher 1995; Wiens 2003, Pharmaceutical Statistics 2:211). The order must be
    fixed before this split is looked at. Without a margin: an upper limit for each at error / number of candidates
    (Bonferroni).

    Args:
        candidates: (name, counts on the certification split), in the fixed order.
        metric: as in `p_value`.
        margin: in (0, 1), or None to certify whatever can be.
        confidence: for all together, in [0.5, 0.999].

    Returns:
        One verdict a candidate, in the same order.

    Raises:
        DataError, UsageError: as in `p_value`.
    """
    check_metric(metric)
    check_confidence(confidence)
    for _, paired in candidates:
        check_paired(paired, metric)
    if margin is None:
        return tuple(_bounded(name, paired, metric, confidence, len(candidates)) for name, paired in candidates)
    check_margin(margin)
    verdicts: list[Verdict] = []
    failed: str | None = None
    for name, paired in candidates:
        if failed is not None:
            reason = f"not tested: {failed}, earlier in the fixed order, failed"
            verdicts.append(Verdict(name, False, None, None, reason))
            continue
        verdict = _tested(name, paired, metric, margin, confidence)
        failed = None if verdict.certified else name
        verdicts.append(verdict)
    return tuple(verdicts)


def _counts(paired: Paired, metric: str) -> str:
    if is_agreement(metric):
        return f"disagreements {paired.losses:,} in {paired.n:,}"
    return f"losses {paired.losses:,}, wins {paired.wins:,} in {paired.n:,}"


def _tested(name: str, paired: Paired, metric: str, margin: float, confidence: float) -> Verdict:
    error = 1 - confidence
    p = _p(paired, margin, metric, error)
    certified = p <= error
    sign = "<=" if certified else ">"
    end = f", so the drop is at most {format_points(margin)}" if certified else f" for {format_points(margin)}"
    reason = f"{_counts(paired, metric)}: p = {p:.3g} {sign} {error:.3g}{end}"
    return Verdict(name, certified, margin if certified else None, p, reason)


def _bounded(name: str, paired: Paired, metric: str, confidence: float, count: int) -> Verdict:
    error = (1 - confidence) / count
    # A limit below zero is true too, but a certificate speaks of a drop.
    limit = max(1 / LATTICE, _upper(paired, metric, error))
    if limit >= 1:
        return Verdict(name, False, None, None, f"{_counts(paired, metric)}: no drop below 100 pt can be certified")
    p = _p(paired, limit, metric, error)
    share = "" if count == 1 else f", the share of one among {count}"
    reason = (
        f"{_counts(paired, metric)}: the drop is at most {format_points(limit)} (p = {p:.3g} <= {error:.3g}{share})"
    )
    return Verdict(name, True, limit, p, reason)
