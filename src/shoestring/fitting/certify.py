"""Certificates on the split that no choice has seen, and what to say when none can be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from shoestring.base.errors import BudgetError
from shoestring.base.units import format_bytes, format_ms
from shoestring.compress.candidates import REFERENCE
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Machine
from shoestring.domain.ladder import Candidate, Ladder
from shoestring.domain.score import Certificate, Paired
from shoestring.evaluate.metrics import paired
from shoestring.evaluate.sample_size import needed_n, too_small_message
from shoestring.evaluate.statistics import Verdict, certify, drop_upper, method
from shoestring.fitting.candidates import Artefact, split_labels, traces
from shoestring.fitting.outcome import row
from shoestring.fitting.workbench import Workbench
from shoestring.search.admit import Admission

NOT_CERTIFIED = "not certified"
"""How the reason against a candidate begins that was tested on the certification split."""


class Bench(Protocol):
    """Where candidates were scored."""

    @property
    def machine(self) -> Machine: ...


def certify_all(
    bench: Workbench, made: Mapping[str, Artefact], admitted: Sequence[Candidate], metric: str, budget: Budget
) -> tuple[dict[str, Certificate], dict[str, str]]:
    """Test the admitted candidates in their fixed order on the certification split.

    Args:
        bench: with the splits.
        made: artefacts by name.
        admitted: in the order fixed on the selection split; the reference is passed over.
        metric: `top-1` or `agreement`.
        budget: its max_drop is the margin; without one each gets the smallest margin that holds.

    Returns:
        Certificates by name, and by name the reason why there is none.
    """
    tested = [candidate for candidate in admitted if candidate.name != REFERENCE]
    if budget.max_drop is None:
        counts = rung_counts(bench, made, tested)
        verdicts = list(certify(list(counts.items()), metric, None, budget.confidence))
    else:  # one after the other: what comes after a failure is not tested, so it is not scored either
        counts, verdicts = {}, []
        for candidate in tested:
            counts |= rung_counts(bench, made, [candidate])
            verdicts += certify([(candidate.name, counts[candidate.name])], metric, budget.max_drop, budget.confidence)
            if not verdicts[-1].certified:
                break
    return settle(bench, admitted, counts, {verdict.name: verdict for verdict in verdicts}, metric, budget)


def rung_counts(bench: Workbench, made: Mapping[str, Artefact], admitted: Sequence[Candidate]) -> dict[str, Paired]:
    """Counts on the certification split of every admitted candidate but the reference, in their order."""
    labels = split_labels(bench, "certification")
    counts: dict[str, Paired] = {}
    for candidate in admitted:
        if candidate.name != REFERENCE:
            original, variant = traces(bench, made[candidate.name], "certification")
            counts[candidate.name] = paired(original.top, variant.top, labels)
    return counts


def settle(
    bench: Bench,
    admitted: Sequence[Candidate],
    counts: Mapping[str, Paired],
    verdicts: Mapping[str, Verdict],
    metric: str,
    budget: Budget,
) -> tuple[dict[str, Certificate], dict[str, str]]:
    """Certificates of the admitted candidates that passed, and the reasons of those that did not, by name.

    Args:
        bench: whose machine scored them.
        admitted: in their fixed order.
        counts: on the certification split, of those that were tested.
        verdicts: likewise; one without a verdict comes after the first that failed.
        metric: `top-1` or `agreement`.
        budget: its max_drop is the margin.
    """
    failed = next((name for name, verdict in verdicts.items() if not verdict.certified), None)
    certificates, refusals = {}, {}
    for candidate in admitted:
        name = candidate.name
        if name == REFERENCE:
            continue
        verdict = verdicts.get(name)
        if verdict is None:
            refusals[name] = f"{NOT_CERTIFIED}: not tested: {failed}, earlier in the fixed order, failed"
            continue
        if verdict.certified and verdict.max_drop is not None and verdict.p_value is not None:
            certificates[name] = Certificate(
                metric=metric,
                max_drop=verdict.max_drop,
                confidence=budget.confidence,
                method=method(metric),
                paired=counts[name],
                p_value=verdict.p_value,
                artefact_sha256=candidate.artefact_sha256,
                runtime=candidate.runtime,
                runtime_version=candidate.runtime_version,
                isa=bench.machine.isa,
            )
        else:
            refusals[name] = f"{NOT_CERTIFIED}: {verdict.reason}{_sample_size(candidate, counts[name], metric, budget)}"
    return certificates, refusals


def _sample_size(candidate: Candidate, counts: Paired, metric: str, budget: Budget) -> str:
    """`; n = 310 is too small ...`, from the selection split's rates, so that the certification split stays unused."""
    if budget.max_drop is None:
        return ""
    seen = candidate.score.paired
    discordance = (seen.wins + seen.losses) / seen.n
    needed = needed_n(discordance, seen.drop, budget.max_drop, metric, budget.confidence)
    if needed is not None and needed <= counts.n:
        return ""
    return f"; {too_small_message(counts.n, budget.max_drop, needed)}"


def only_reference_for_lack_of_proof(ladder: Ladder, refusals: Mapping[str, str]) -> bool:
    """Whether compression was possible within the budget but nothing could be certified."""
    return bool(refusals) and all(rung.certificate is None for rung in ladder.rungs)


def nothing_fits(
    scored: Sequence[Candidate],
    admission: Admission,
    refusals: Mapping[str, str],
    budget: Budget,
) -> BudgetError:
    """The error with one row a candidate and what can be had instead."""
    reasons = {item.candidate.name: item.reason for item in admission.rejected} | dict(refusals)
    rows = [
        row(candidate, "rejected", reasons.get(candidate.name, "the original's own function"), budget)
        for candidate in scored
    ]
    if refusals:
        first = next(candidate for candidate in admission.admitted if candidate.name in refusals)
        bound = drop_upper(first.score.paired, first.score.metric, budget.confidence)
        message = f"no candidate can be certified: {first.name} {refusals[first.name]}"
        hint = (
            f"on the selection split {first.name} loses at most {100 * bound:.2f} pt; ask for more, or give more images"
        )
    else:
        message = "no candidate keeps the budget"
        latency = min(candidate.cost.at(budget.threads).median_ms for candidate in scored)
        size = min(candidate.cost.size_bytes for candidate in scored)
        memory = min(candidate.cost.peak_rss_bytes for candidate in scored)
        hint = (
            f"to be had here: latency from {format_ms(latency)}, size from {format_bytes(size)}, "
            f"memory from {format_bytes(memory)}"
        )
    return BudgetError(message, hint=hint, rows=tuple(rows))
