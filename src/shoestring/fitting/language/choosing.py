"""Which candidates go on to certification, which are certified, and which rung is chosen.

Rules as for images (`search.admit`, `search.ladder`), with KL in the place of the drop: certification goes from the
least divergence to the largest, an order fixed on the selection split, up to the first failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.units import format_bytes
from shoestring.domain.divergence import KlCertificate
from shoestring.domain.ladder import Candidate, Ladder, Rejected, Rung
from shoestring.evaluate.language.betting import needed_blocks
from shoestring.evaluate.language.certify import CAP_FACTOR, KlVerdict, bound_kl, certify_kl, method, not_tested
from shoestring.search.admit import MAY_MEET, over_budget

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.domain.budget import Budget
    from shoestring.domain.divergence import BlockTrace

NOISE = 1.03  # as `search.admit.NOISE`: sizes and rates within 3 % count as equal
LEAST_CAP = 0.1  # nats; where no margin is asked for, the cap of a candidate that hardly differs
NOT_CERTIFIED = "not certified"


@dataclass(frozen=True)
class Admitted:
    """Candidates in the fixed order of certification, least divergence first, and the others with reasons."""

    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejected, ...]


def admit(candidates: Sequence[Candidate], reference: str | None, budget: Budget) -> Admitted:
    """Sort out what breaks the budget, diverges too far on the selection split, or is beaten in every respect.

    Args:
        candidates: all.
        reference: name of the one that is the original itself; None where none is.
        budget: limits.
    """
    kept, rejected = [], []
    for candidate in candidates:
        reason = over(candidate, budget)
        if reason is None:
            kept.append(candidate)
        else:
            rejected.append(Rejected(candidate, reason))
    admitted = []
    for candidate in kept:
        better = next((one for one in kept if beats(one, candidate, budget)), None)
        if better is None or candidate.name == reference:
            admitted.append(candidate)
        else:
            rejected.append(
                Rejected(candidate, f"nowhere better than {better.name}: {_figures(candidate, better, budget)}")
            )
    return Admitted(tuple(sorted(admitted, key=lambda one: (kl_of(one), one.name))), tuple(rejected))


def over(candidate: Candidate, budget: Budget) -> str | None:
    """The first limit that a candidate breaks, with both numbers; None when it keeps them all."""
    return over_budget(candidate.cost, budget) or _too_slow(candidate, budget) or _too_far(candidate, budget)


def _too_slow(candidate: Candidate, budget: Budget) -> str | None:
    if budget.tokens_per_s is None:
        return None
    cost = candidate.cost
    rate = (
        next(one for one in cost.tokens.rates if one.threads == cost.at(budget.threads).threads)
        if cost.tokens
        else None
    )
    if rate is None:
        return "nothing is known of its rate"
    wanted = f"{budget.tokens_per_s:g} tokens/s"
    if cost.predicted is None:
        if rate.decode_per_s >= budget.tokens_per_s:
            return None
        return f"{rate.decode_per_s:.3g} tokens/s are fewer than the budget of {wanted}"
    if rate.decode_low >= budget.tokens_per_s:
        return None
    between = f"~{rate.decode_per_s:.3g} tokens/s ({rate.decode_low:.3g} to {rate.decode_high:.3g}, estimate)"
    if rate.decode_high < budget.tokens_per_s:
        return f"{between} are fewer than the budget of {wanted}"
    return f"{MAY_MEET} the budget: {between} has {wanted} inside its interval"


def _too_far(candidate: Candidate, budget: Budget) -> str | None:
    if budget.max_kl is None or kl_of(candidate) <= budget.max_kl:
        return None
    return f"a KL of {kl_of(candidate):.3g} on the selection split, more than {budget.max_kl:.3g}"


def kl_of(candidate: Candidate) -> float:
    """On the selection split, nats."""
    return float("inf") if candidate.divergence is None else candidate.divergence.kl


def ms_of(candidate: Candidate, budget: Budget) -> float:
    """Of one token written."""
    return candidate.cost.at(budget.threads).median_ms


def beats(one: Candidate, other: Candidate, budget: Budget) -> bool:
    """Whether `one` is clearly better in time, size or divergence and, within noise, worse in none of them."""
    if one.name == other.name:
        return False
    fast, slow = ms_of(one, budget), ms_of(other, budget)
    small, large = one.cost.size_bytes, other.cost.size_bytes
    near, far = kl_of(one), kl_of(other)
    no_worse = fast <= slow * NOISE and small <= large * NOISE and near <= far
    return no_worse and (fast * NOISE < slow or small * NOISE < large or near * NOISE < far)


def certify(
    order: Sequence[Candidate],
    reference: str | None,
    selection: Mapping[str, BlockTrace],
    trace_of: Callable[[str], BlockTrace],
    budget: Budget,
) -> dict[str, KlVerdict]:
    """Verdicts by name, on the split that no choice has seen.

    Args:
        order: fixed on the selection split.
        reference: passed over.
        selection: traces there, from which caps and needed blocks are taken.
        trace_of: scores a candidate on the certification split; not called for what comes after a failure.
        budget: its max_kl is the margin; without one each gets the smallest margin that holds.
    """
    tested = [candidate for candidate in order if candidate.name != reference]
    found: dict[str, KlVerdict] = {}
    error, failed = 1 - budget.confidence, None
    for candidate in tested:
        name = candidate.name
        if budget.max_kl is None:
            cap = CAP_FACTOR * max(LEAST_CAP / CAP_FACTOR, kl_of(candidate))
            found[name] = bound_kl(trace_of(name), cap, error / len(tested))
            continue
        cap = CAP_FACTOR * budget.max_kl
        if failed is not None:
            found[name] = not_tested(name, cap, failed)
            continue
        needed = needed_blocks(selection[name].kl, budget.max_kl, cap, error)
        found[name] = certify_kl(trace_of(name), budget.max_kl, cap, budget.confidence, needed)
        failed = None if found[name].certified else name
    return found


def build(
    admitted: Admitted,
    reference: str | None,
    verdicts: Mapping[str, KlVerdict],
    traces: Mapping[str, BlockTrace],
    isa: tuple[str, ...],
    budget: Budget,
) -> Ladder | None:
    """Rungs from cheapest to dearest, or None when not one is left.

    Args:
        admitted: in the fixed order.
        reference: needs no certificate: it is the original's own file.
        verdicts: of the others.
        traces: on the certification split, of those that were tested.
        isa: of this machine.
        budget: decides threads and the chosen rung.
    """
    rungs, out = [], list(admitted.rejected)
    for candidate in admitted.candidates:
        threads = candidate.cost.at(budget.threads).threads
        if candidate.name == reference:
            rungs.append(Rung(candidate, threads, None))
            continue
        verdict = verdicts[candidate.name]
        if not verdict.certified:
            out.append(Rejected(candidate, f"{NOT_CERTIFIED}: {verdict.reason}"))
            continue
        proven = certificate(candidate, verdict, traces[candidate.name], isa, budget)
        rungs.append(Rung(candidate, threads, None, proven))
    if not rungs:
        return None
    rungs.sort(key=lambda rung: (ms_of(rung.candidate, budget), rung.candidate.cost.size_bytes, rung.name))
    return Ladder(tuple(rungs), tuple(out), choose(rungs, budget).name)


def choose(rungs: Sequence[Rung], budget: Budget) -> Rung:
    """All rungs keep the budget. With a divergence that is allowed, the fastest; without, the nearest to the original
    that keeps a rate or a memory that was asked for; with no limit at all, the fastest of those below half the largest
    divergence (a middle of the ladder)."""
    if budget.max_kl is not None:
        return min(rungs, key=lambda rung: (ms_of(rung.candidate, budget), rung.candidate.cost.size_bytes))
    limited = (budget.tokens_per_s, budget.memory_bytes, budget.size_bytes, budget.latency_ms)
    if any(limit is not None for limit in limited):
        return min(rungs, key=lambda rung: (kl_of(rung.candidate), ms_of(rung.candidate, budget)))
    half = max(kl_of(rung.candidate) for rung in rungs) / 2
    near = [rung for rung in rungs if kl_of(rung.candidate) <= half] or list(rungs)
    return min(near, key=lambda rung: (ms_of(rung.candidate, budget), rung.candidate.cost.size_bytes))


def certificate(
    candidate: Candidate, verdict: KlVerdict, trace: BlockTrace, isa: tuple[str, ...], budget: Budget
) -> KlCertificate:
    """From a verdict that certifies."""
    if verdict.max_kl is None or verdict.mean is None or verdict.p_value is None:
        raise ValueError(f"{candidate.name} was not certified")
    return KlCertificate(
        max_kl=verdict.max_kl,
        cap=verdict.cap,
        confidence=budget.confidence,
        method=method(order=budget.max_kl is not None),
        blocks=len(trace.kl),
        tokens=sum(trace.tokens),
        mean=verdict.mean,
        capped=verdict.capped,
        p_value=verdict.p_value,
        artefact_sha256=candidate.artefact_sha256,
        runtime=candidate.runtime,
        runtime_version=candidate.runtime_version,
        isa=isa,
    )


def _figures(candidate: Candidate, better: Candidate, budget: Budget) -> str:
    def words(one: Candidate) -> str:
        return f"{ms_of(one, budget):.3g} ms a token, KL {kl_of(one):.3g}, {format_bytes(one.cost.size_bytes)}"

    return f"{words(candidate)} against {words(better)}"
