"""Cascades of a fit: chosen on the selection split, certified in the one fixed sequence, kept where they pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shoestring.base.units import format_ms, format_points
from shoestring.compress.candidates import REFERENCE
from shoestring.domain.budget import Budget
from shoestring.domain.cascade import RUNTIME, Cascade, Stage, identity, mean_ms
from shoestring.domain.evidence import Reading
from shoestring.domain.ladder import Candidate, Ladder
from shoestring.domain.score import Certificate
from shoestring.evaluate.cascade import GAIN, Bools, Plan, Runner, Safer, merge, outcome, plan, safety
from shoestring.evaluate.statistics import certify, method
from shoestring.fitting import certify as rungs
from shoestring.fitting.candidates import Artefact, split_labels
from shoestring.fitting.readings import Overhead, overhead, read
from shoestring.fitting.workbench import Workbench
from shoestring.search.admit import Admission, latency_ms, over_budget

MAX_RUNNERS = 8  # candidates that may be stages: each is asked one image at a time
NO_MARGIN = "no cascade was tried: its thresholds are learnt for a largest drop, and none was asked for"
NOT_PAYING = "a cascade does not pay"


@dataclass(frozen=True)
class Asked:
    """A candidate that may be a stage."""

    candidate: Candidate
    artefact: Artefact
    threads: int
    probabilities: bool
    overhead: Overhead
    reading: Reading


@dataclass(frozen=True)
class Contest:
    """What is tested, fixed on the selection split.

    Args:
        plans: cascades, from the safest to the cheapest; empty with a note that says why.
        asked: possible stages by name.
        order: names of rungs and cascades, the one fixed sequence.
        note: why there is nothing to test, or None.
    """

    plans: tuple[Plan, ...]
    asked: Mapping[str, Asked]
    order: tuple[str, ...]
    note: str | None


NOT_WANTED = Contest((), {}, (), None)
"""When the user wants none."""


@dataclass(frozen=True)
class Found:
    """The cheapest certified cascade with its evidence, or why there is none."""

    cascade: Cascade | None
    readings: tuple[Reading, ...]
    note: str


def contest(
    bench: Workbench,
    made: Mapping[str, Artefact],
    scored: Sequence[Candidate],
    admission: Admission,
    budget: Budget,
    classes: int,
) -> Contest:
    """Choose the cascades to test. Looks at the selection split only.

    Args:
        bench: with the splits.
        made: artefacts by name.
        scored: all candidates.
        admission: which of them are tested as rungs, in their fixed order.
        budget: its max_drop is the margin.
        classes: of the model.
    """
    tested = tuple(one.name for one in admission.admitted if one.name != REFERENCE)
    if budget.max_drop is None:
        return Contest((), {}, tested, NO_MARGIN)
    margin = budget.max_drop
    pool = possible_stages(scored, budget)
    if len(pool) < 2:
        words = ", ".join(one.name for one in pool) or "none"
        return Contest((), {}, tested, f"{NOT_PAYING}: of the candidates within the budget {words} is not beaten")
    asked = {one.name: ask(bench, made[one.name], one, budget, classes) for one in pool}
    labels, original = split_labels(bench, "selection"), original_first(bench, "selection")
    runners = [runner(one, original, labels) for one in asked.values()]
    alone = [Safer(one.name, latency_ms(one, budget), safety(one.score.paired, margin)) for one in admission.admitted]
    path = plan(runners, original_hits(original, labels), margin, alone)
    kept = tuple(one for one in path.plans if within_budget(one, asked, budget))
    if not kept:
        return Contest((), asked, tested, _no_plan(path.cheapest, alone, margin))
    order = merge([one for one in alone if one.name != REFERENCE], kept)
    return Contest(kept, asked, tuple(order), None)


def possible_stages(scored: Sequence[Candidate], budget: Budget) -> list[Candidate]:
    """Candidates within the budget's cost that no faster one beats in accuracy, and the reference; fastest first."""
    able = sorted(
        (one for one in scored if over_budget(one.cost, budget) is None),
        key=lambda one: (latency_ms(one, budget), one.name),
    )
    front: list[Candidate] = []
    for one in able:
        if not front or one.score.paired.drop < min(other.score.paired.drop for other in front):
            front.append(one)
    front += [one for one in able if one.name == REFERENCE and one not in front]
    front.sort(key=lambda one: latency_ms(one, budget))
    if len(front) > MAX_RUNNERS:
        places = np.unique(np.round(np.linspace(0, len(front) - 1, MAX_RUNNERS)).astype(int))
        front = [front[place] for place in places]
    return front


def ask(bench: Workbench, artefact: Artefact, candidate: Candidate, budget: Budget, classes: int) -> Asked:
    """How sure a candidate is on the selection split, and what asking takes."""
    threads = candidate.cost.at(budget.threads).threads
    reading, probabilities = read(bench, artefact, "selection", threads)
    return Asked(candidate, artefact, threads, probabilities, overhead(bench, artefact, classes), reading)


def runner(one: Asked, original: Sequence[int], labels: Sequence[int] | None) -> Runner:
    """The candidate as the statistics see it, on the split of its reading."""
    timing = one.candidate.cost.at(one.threads)
    return Runner(
        one.candidate.name,
        timing.median_ms + one.overhead.input_ms,
        one.overhead.asking_ms,
        np.array(one.reading.first) == np.array(original if labels is None else labels),
        {measure: np.array(levels, np.int64) for measure, levels in one.reading.levels.items()},
    )


def original_first(bench: Workbench, split: str) -> tuple[int, ...]:
    """The original's first class of each image."""
    return tuple(top[0] for top in bench.trace("original", bench.model.path, bench.model.sha256, split).top)


def original_hits(first: Sequence[int], labels: Sequence[int] | None) -> Bools:
    """Whether the original was right; without labels it is what counts as right."""
    hits: Bools = np.equal(np.array(first), np.array(first if labels is None else labels))
    return hits


def within_budget(one: Plan, asked: Mapping[str, Asked], budget: Budget) -> bool:
    """Whether all stages together keep the budget: the slowest image its latency, all models its size and memory."""
    stages = [asked[name].candidate for name in one.rungs]
    slowest = sum(latency_ms(stage, budget) for stage in stages)
    return (
        (budget.latency_ms is None or slowest <= budget.latency_ms)
        and (budget.size_bytes is None or sum(stage.cost.size_bytes for stage in stages) <= budget.size_bytes)
        and (budget.memory_bytes is None or sum(stage.cost.peak_rss_bytes for stage in stages) <= budget.memory_bytes)
    )


def certify_all(
    bench: Workbench,
    made: Mapping[str, Artefact],
    admitted: Sequence[Candidate],
    metric: str,
    budget: Budget,
    tested: Contest,
) -> tuple[dict[str, Certificate], dict[str, str], Found]:
    """Test rungs and cascades in their one fixed sequence on the certification split.

    Args:
        bench: with the splits.
        made: artefacts by name.
        admitted: rungs to test, and perhaps the reference.
        metric: `top-1` or `agreement`.
        budget: its max_drop is the margin.
        tested: what `contest` fixed.

    Returns:
        Certificates of rungs by name; the reasons why others have none; and the cheapest certified cascade.
    """
    if not tested.plans:
        return *rungs.certify_all(bench, made, admitted, metric, budget), Found(None, (), tested.note or "")
    counts = rungs.rung_counts(bench, made, admitted)
    names = sorted({name for one in tested.plans for name in one.rungs})
    certification = {name: _again(bench, tested.asked[name]) for name in names}
    labels, original = split_labels(bench, "certification"), original_first(bench, "certification")
    hits = original_hits(original, labels)
    answered: dict[str, tuple[int, ...]] = {}
    for one in tested.plans:
        stages = [runner(certification[name], original, labels) for name in one.rungs]
        answered[one.name], counts[one.name] = outcome(stages, one.measure, one.thresholds, hits)
    verdicts = {
        verdict.name: verdict
        for verdict in certify(
            [(name, counts[name]) for name in tested.order], metric, budget.max_drop, budget.confidence
        )
    }
    certificates, refusals = rungs.settle(bench, admitted, counts, verdicts, metric, budget)
    passed = [one for one in tested.plans if verdicts[one.name].certified]
    if not passed:
        first = tested.plans[0]
        return certificates, refusals, Found(None, (), f"no cascade: {first.name}: {verdicts[first.name].reason}")
    best = min(passed, key=lambda one: one.expected_ms)
    stages_of = _stages(best, tested.asked, answered[best.name])
    cascade = Cascade(
        best.measure,
        stages_of,
        mean_ms(stages_of, best.answered),
        Certificate(
            metric=metric,
            max_drop=_sure(verdicts[best.name].max_drop),
            confidence=budget.confidence,
            method=method(metric),
            paired=counts[best.name],
            p_value=_sure(verdicts[best.name].p_value),
            artefact_sha256=identity(best.measure, stages_of),
            runtime=RUNTIME,
            runtime_version=runtimes_of(best, tested.asked),
            isa=bench.machine.isa,
        ),
    )
    readings = tuple(one.reading for name in best.rungs for one in (tested.asked[name], certification[name]))
    return certificates, refusals, Found(cascade, readings, "")


def _sure(value: float | None) -> float:
    """The figure of a certified verdict, which has one."""
    if value is None:
        raise ValueError("a certified verdict without a figure")
    return value


def _again(bench: Workbench, one: Asked) -> Asked:
    """The same candidate on the certification split."""
    return replace(one, reading=read(bench, one.artefact, "certification", one.threads)[0])


def runtimes_of(one: Plan, asked: Mapping[str, Asked]) -> str:
    """`native 1, onnxruntime 1.23.2`."""
    found = {(asked[name].candidate.runtime, asked[name].candidate.runtime_version) for name in one.rungs}
    return ", ".join(f"{name} {version}" for name, version in sorted(found))


def _stages(one: Plan, asked: Mapping[str, Asked], answered: tuple[int, ...]) -> tuple[Stage, ...]:
    stages = []
    for place, name in enumerate(one.rungs):
        stage, last = asked[name], place == len(one.rungs) - 1
        extra = stage.overhead.input_ms + (0.0 if last else stage.overhead.asking_ms)
        stages.append(
            Stage(
                rung=name,
                artefact_sha256=stage.artefact.sha256,
                threads=stage.threads,
                threshold=None if last else one.thresholds[place],
                probabilities=stage.probabilities,
                latency_ms=stage.candidate.cost.at(stage.threads).median_ms,
                overhead_ms=extra,
                answered=one.answered[place],
                answered_certification=answered[place],
            )
        )
    return tuple(stages)


def join(ladder: Ladder, found: Found, budget: Budget) -> tuple[Ladder, Found]:
    """The ladder with the cascade where it is cheaper than the chosen rung by more than noise; else the reason."""
    cascade = found.cascade
    if cascade is None:
        return ladder, found
    chosen = ladder.rung(ladder.chosen)
    alone = chosen.candidate.cost.at(chosen.threads).median_ms
    words = describe(cascade)
    if cascade.expected_ms * GAIN >= alone:
        note = f"{NOT_PAYING}: {words}; {chosen.name} alone takes {format_ms(alone)}"
        return ladder, Found(None, (), note)
    note = f"cascade: {words}; {chosen.name} alone takes {format_ms(alone)}"
    return replace(ladder, cascade=cascade), replace(found, note=note)


def describe(cascade: Cascade) -> str:
    """Stages with their shares, mean and worst time, and what is certified, in words."""
    shares = ", ".join(
        f"{stage.rung} answers {100 * share:.1f} %" for stage, share in zip(cascade.stages, cascade.shares, strict=True)
    )
    given = cascade.certificate
    return (
        f"{shares}, by {cascade.measure}; {format_ms(cascade.expected_ms)} an image on average, at most "
        f"{format_ms(cascade.worst_ms)}; drop at most {format_points(given.max_drop)} at {100 * given.confidence:g} %"
    )


def _no_plan(cheapest: Plan | None, alone: Sequence[Safer], margin: float) -> str:
    if cheapest is None:
        return f"{NOT_PAYING}: none keeps {format_points(margin)} on the selection split"
    fastest = min(alone, key=lambda one: one.latency_ms, default=None)
    beside = "" if fastest is None else f"; {fastest.name} alone takes {format_ms(fastest.latency_ms)}"
    return (
        f"{NOT_PAYING}: the cheapest that keeps {format_points(margin)} on the selection split, {cheapest.name}, "
        f"takes {format_ms(cheapest.expected_ms)}{beside}"
    )


__all__ = ["Contest", "Found", "certify_all", "contest", "describe", "join", "possible_stages"]
