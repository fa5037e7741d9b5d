"""From certified candidates to the ladder and its chosen rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shoestring.domain.budget import Budget
from shoestring.domain.ladder import Candidate, Ladder, Rejected, Rung
from shoestring.domain.score import Certificate
from shoestring.search.admit import beaten_reason, beats, clearly_below, latency_ms

PATIENCE = 1.25
"""Without an accuracy budget the most accurate rung is chosen among those at most this many times slower than the
fastest. A judgement, not a measurement: a quarter more time is little beside the gain over the original."""


def build_ladder(
    admitted: Sequence[Candidate],
    certificates: Mapping[str, Certificate],
    refusals: Mapping[str, str],
    rejected: Sequence[Rejected],
    reference: str,
    budget: Budget,
) -> Ladder | None:
    """Rungs from cheapest to dearest, or None when not one is left.

    Args:
        admitted: candidates that went to certification, the reference among them if its cost allows.
        certificates: by candidate name, for those that passed.
        refusals: by candidate name, why certification failed.
        rejected: candidates sorted out before.
        reference: needs no certificate: it computes the original's own function.
        budget: decides the thread count and the chosen rung.
    """
    rungs: list[Rung] = []
    out = list(rejected)
    for candidate in admitted:
        certificate = certificates.get(candidate.name)
        if certificate is None and candidate.name != reference:
            out.append(Rejected(candidate, refusals[candidate.name]))
            continue
        rungs.append(Rung(candidate, candidate.cost.at(budget.threads).threads, certificate))
    rungs, spare = without_reserves(rungs, budget)
    out += spare
    if not rungs:
        return None
    rungs.sort(key=lambda rung: (latency_ms(rung.candidate, budget), rung.candidate.cost.size_bytes, rung.name))
    return Ladder(tuple(rungs), tuple(out), choose(rungs, budget).name)


def without_reserves(rungs: Sequence[Rung], budget: Budget) -> tuple[list[Rung], list[Rejected]]:
    """The rungs that are needed, and the reserves that are not, since what they stood in for was certified too."""
    needed, spare = list(rungs), []
    for rung in rungs:
        proven = (one.candidate for one in needed if one.certificate is not None)
        better = next((one for one in proven if beats(one, rung.candidate, budget)), None)
        if better is not None and rung.certificate is not None:
            needed.remove(rung)
            reason = f"certified as a reserve, and not needed: {beaten_reason(better, rung.candidate, budget)}"
            spare.append(Rejected(rung.candidate, reason))
    return needed, spare


def choose(rungs: Sequence[Rung], budget: Budget) -> Rung:
    """The rung the budget asks for; all rungs keep its limits.

    With an accuracy budget: the fastest. Without one: the most accurate among those within PATIENCE of the fastest: of
    those that no other's drop is clearly below, the one with the smallest loss, then the smallest drop.
    """
    fastest = min(rungs, key=lambda rung: latency_ms(rung.candidate, budget))
    if budget.max_drop is not None:
        return fastest
    limit = PATIENCE * latency_ms(fastest.candidate, budget)
    near = [rung for rung in rungs if latency_ms(rung.candidate, budget) <= limit]
    best = [one for one in near if not any(clearly_below(other.candidate, one.candidate) for other in near)]

    def key(rung: Rung) -> tuple[float, float, float]:
        loss = rung.candidate.recipe.loss
        drop, latency = rung.candidate.score.paired.drop, latency_ms(rung.candidate, budget)
        return (float("inf") if loss is None else loss), drop, latency

    return min(best, key=key)
