"""Certificates of divergence that all hold together, on the split that no choice has seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.evaluate.language.betting import METHOD, check_bounds, p_value, too_few_message, upper_limit
from shoestring.evaluate.statistics import check_confidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.domain.divergence import BlockTrace

CAP_FACTOR = 5.0
"""Times the margin: the cap on a block's KL. The bound needs one, and it pays for it: with 112 blocks a mean of three
quarters of the margin passes under this cap, of three fifths under twice the cap. A block beyond it is
counted and told."""


@dataclass(frozen=True)
class KlVerdict:
    """What the certification split says of one candidate.

    Args:
        name: of the candidate.
        certified: whether "the mean of capped blocks is at most max_kl" holds, for all candidates together.
        max_kl: the certified margin, nats; None when nothing is certified.
        cap: on a block, nats.
        mean: observed, of capped blocks, nats; None when it was not looked at.
        capped: blocks above the cap.
        p_value: None when it was not tested.
        reason: in words, with the numbers.
    """

    name: str
    certified: bool
    max_kl: float | None
    cap: float
    mean: float | None
    capped: int
    p_value: float | None
    reason: str


def certify_kl(trace: BlockTrace, max_kl: float, cap: float, confidence: float, needed: int | None = None) -> KlVerdict:
    """Test one candidate at the full error.

    Args:
        trace: on the certification split.
        max_kl: the margin, nats, in (0, cap).
        cap: on a block, nats; fixed before the split is looked at.
        confidence: in [0.5, 0.999].
        needed: blocks that would be enough, from `betting.needed_blocks` on the selection split; None: no number is.

    Raises:
        DataError, UsageError: as `betting.p_value`.
    """
    check_confidence(confidence)
    check_bounds(max_kl, cap)
    mean, capped = capped_mean(trace, cap)
    p, error = p_value(trace.kl, max_kl, cap), 1 - confidence
    certified = p <= error
    seen = f"a mean KL of {mean:.4g} over {len(trace.kl):,} blocks"
    reason = f"{seen}: p = {p:.3g} {'<=' if certified else '>'} {error:.3g} for {max_kl:.3g}"
    if not certified and (needed is None or needed > len(trace.kl)):
        reason += f"; {too_few_message(len(trace.kl), max_kl, needed)}"
    return KlVerdict(trace.candidate, certified, max_kl if certified else None, cap, mean, capped, p, reason)


def bound_kl(trace: BlockTrace, cap: float, error: float) -> KlVerdict:
    """The smallest margin of one candidate that holds at `error`, where no margin was asked for. Raises as above."""
    mean, capped = capped_mean(trace, cap)
    limit = upper_limit(trace.kl, cap, error)
    seen = f"a mean KL of {mean:.4g} over {len(trace.kl):,} blocks"
    if limit is None:
        return KlVerdict(
            trace.candidate, False, None, cap, mean, capped, None, f"{seen}: no margin below the cap of {cap:.3g} holds"
        )
    p = p_value(trace.kl, limit, cap)
    return KlVerdict(
        trace.candidate, True, limit, cap, mean, capped, p, f"{seen}: KL at most {limit:.3g} (p = {p:.3g})"
    )


def not_tested(name: str, cap: float, failed: str) -> KlVerdict:
    """The verdict on what comes after a failure in the fixed order."""
    return KlVerdict(name, False, None, cap, None, 0, None, f"not tested: {failed}, earlier in the fixed order, failed")


def certify_each(
    traces: Sequence[BlockTrace], caps: Sequence[float], max_kl: float | None, confidence: float
) -> tuple[KlVerdict, ...]:
    """Certificates that hold together at `confidence`.

    With a margin: in the given order, each at the full error, up to the first failure (Maurer, Hothorn and Lehmacher
    1995; see docs/statistics.md). Without one: a limit for each at error / number of candidates (Bonferroni).

    Args:
        traces: on the certification split, in an order fixed on the selection split.
        caps: of each, fixed likewise.
        max_kl: the margin, or None.
        confidence: for all together.

    Raises:
        DataError, UsageError: as `certify_kl`.
    """
    check_confidence(confidence)
    if max_kl is None:
        share = (1 - confidence) / max(1, len(traces))
        return tuple(bound_kl(trace, cap, share) for trace, cap in zip(traces, caps, strict=True))
    found: list[KlVerdict] = []
    failed: str | None = None
    for trace, cap in zip(traces, caps, strict=True):
        if failed is not None:
            found.append(not_tested(trace.candidate, cap, failed))
            continue
        found.append(certify_kl(trace, max_kl, cap, confidence))
        failed = None if found[-1].certified else trace.candidate
    return tuple(found)


def capped_mean(trace: BlockTrace, cap: float) -> tuple[float, int]:
    """Mean of blocks, each counted up to `cap`, and how many were above it; `divergence_rules` counts it again."""
    capped = [min(kl, cap) for kl in trace.kl]
    return math.fsum(capped) / len(capped), sum(kl > cap for kl in trace.kl)


def method(order: bool) -> str:
    """For certificates: the test, and how several hold together."""
    return f"{METHOD}; {'fixed sequence over the ladder' if order else 'error shared evenly over the ladder'}"
