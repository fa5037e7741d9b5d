"""Which candidates may go on to certification, and why the others may not. Looks at the selection split only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shoestring.base.units import format_bytes, format_ms, format_points
from shoestring.domain.budget import Budget
from shoestring.domain.ladder import Candidate, Rejected

NOISE = 1.03
"""Two latencies or sizes within 3 % count as equal: a judgement of what a median can tell apart."""


@dataclass(frozen=True)
class Admission:
    """Admitted candidates in the fixed order of certification (most accurate first), and the rejected ones."""

    admitted: tuple[Candidate, ...]
    rejected: tuple[Rejected, ...]


def latency_ms(candidate: Candidate, budget: Budget) -> float:
    """Median at the budget's thread count."""
    return candidate.cost.at(budget.threads).median_ms


def over_budget(candidate: Candidate, budget: Budget) -> str | None:
    """The first cost limit that the candidate breaks, with both numbers; None when it keeps them all."""
    latency, cost = latency_ms(candidate, budget), candidate.cost
    if budget.latency_ms is not None and latency > budget.latency_ms:
        return f"latency {format_ms(latency)} is above the budget of {format_ms(budget.latency_ms)}"
    if budget.memory_bytes is not None and cost.peak_rss_bytes > budget.memory_bytes:
        return f"memory {format_bytes(cost.peak_rss_bytes)} is above the budget of {format_bytes(budget.memory_bytes)}"
    if budget.size_bytes is not None and cost.size_bytes > budget.size_bytes:
        return f"size {format_bytes(cost.size_bytes)} is above the budget of {format_bytes(budget.size_bytes)}"
    return None


def admit(candidates: Sequence[Candidate], reference: str, budget: Budget) -> Admission:
    """Sort out what breaks the budget, loses too much on the selection split, or is beaten in every respect.

    Args:
        candidates: all, the reference among them; its scores are the original's own.
        reference: name of the candidate that computes the original's function; never sorted out for its score.
        budget: limits.
    """
    kept: list[Candidate] = []
    rejected: list[Rejected] = []
    for candidate in candidates:
        reason = over_budget(candidate, budget)
        drop = candidate.score.paired.drop
        if reason is None and budget.max_drop is not None and drop > budget.max_drop and candidate.name != reference:
            reason = (
                f"{candidate.score.metric} falls by {format_points(drop)} on the selection split, "
                f"more than {format_points(budget.max_drop)}"
            )
        if reason is None:
            kept.append(candidate)
        else:
            rejected.append(Rejected(candidate, reason))
    admitted = []
    for candidate in kept:
        better = next((other for other in kept if other.name != reference and beats(other, candidate, budget)), None)
        if better is None or candidate.name == reference:
            admitted.append(candidate)
        else:
            rejected.append(Rejected(candidate, beaten_reason(better, candidate, budget)))
    fixed_order = sorted(admitted, key=lambda c: (c.score.paired.drop, c.score.paired.losses, c.name))
    return Admission(tuple(fixed_order), tuple(rejected))


def beats(one: Candidate, other: Candidate, budget: Budget) -> bool:
    """Whether `one` is clearly better in latency, drop or size and, within noise, worse in none of them."""
    if one.name == other.name:
        return False
    fast, slow = latency_ms(one, budget), latency_ms(other, budget)
    small, large = one.cost.size_bytes, other.cost.size_bytes
    drop, other_drop = one.score.paired.drop, other.score.paired.drop
    no_worse = fast <= slow * NOISE and small <= large * NOISE and drop <= other_drop
    return no_worse and (fast * NOISE < slow or small * NOISE < large or drop < other_drop)


def beaten_reason(better: Candidate, candidate: Candidate, budget: Budget) -> str:
    """Why `candidate` is not needed beside `better`, in numbers."""

    def words(one: Candidate) -> str:
        drop = format_points(one.score.paired.drop)
        return f"{format_ms(latency_ms(one, budget))}, {drop}, {format_bytes(one.cost.size_bytes)}"

    return f"nowhere better than {better.name} ({words(candidate)} against {words(better)})"
