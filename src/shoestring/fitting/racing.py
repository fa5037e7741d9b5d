"""Scores every candidate on the selection split, the cheap ones first, and stops where the verdict is certain.

A candidate that is stopped keeps its answers so far: its score is of those images, its reason says of how many, and
the evidence holds just these. What is stopped by the certain rule would not have been admitted, and would have kept
nobody else from being admitted, so racing changes no ladder (see `search.admit.overtaken`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shoestring.compress.candidates import REFERENCE
from shoestring.domain.budget import Budget
from shoestring.domain.cost import Cost
from shoestring.domain.ladder import Candidate
from shoestring.evaluate.race import OFF, Standing, standing, verdict
from shoestring.fitting import candidates
from shoestring.fitting.candidates import Artefact
from shoestring.fitting.scoring import part_size
from shoestring.fitting.soundness import unsound
from shoestring.fitting.workbench import Workbench
from shoestring.search.admit import over_budget, overtaken


@dataclass(frozen=True)
class Raced:
    """What the race found.

    Args:
        candidates: all, in the order they were made.
        stopped: by name, why scoring ended before the last image.
    """

    candidates: list[Candidate]
    stopped: dict[str, str]


def score_all(
    bench: Workbench,
    made: Mapping[str, Artefact],
    metric: str,
    classes: int,
    budget: Budget,
    rule: str,
    costs: Mapping[str, Cost] | None = None,
) -> Raced:
    """Measure all candidates where that has not been done, then score them in the order of their cost.

    Args:
        bench: model, images, machine.
        made: artefacts by name.
        metric: `top-1` or `agreement`.
        classes: of the model.
        budget: limits.
        rule: one of `evaluate.race.RULES`.
        costs: of every artefact; None measures them.
    """
    if costs is None:
        costs = candidates.measure_all(bench, dict(made), candidates.thread_counts(bench, budget))
    versions = candidates.runtime_versions(made)

    def price(one: Artefact) -> tuple[float, int, str]:
        return costs[one.name].at(budget.threads).median_ms, one.size_bytes, one.name

    scored: dict[str, Candidate] = {}
    stopped: dict[str, str] = {}
    rivals: list[Candidate] = []  # scored in full, within the budget: what may replace others
    for one in sorted(made.values(), key=price):
        cost = costs[one.name]
        reason, count = _run(bench, one, cost, rivals, metric, budget, rule)
        scores = candidates.score(bench, one, metric, classes, *(() if reason is None else (count,)))
        scored[one.name] = Candidate(
            one.recipe, one.runtime, versions[one.runtime], one.shipped.sha256, cost, scores, one.notes
        )
        if reason is not None:
            stopped[one.name] = reason
        elif one.name != REFERENCE and _kept(scored[one.name], budget):
            rivals.append(scored[one.name])
    return Raced([scored[name] for name in made], stopped)


def _kept(candidate: Candidate, budget: Budget) -> bool:
    """Whether the budget keeps a candidate that was scored in full."""
    within = budget.max_drop is None or candidate.score.paired.drop <= budget.max_drop
    return within and over_budget(candidate.cost, budget) is None


def _run(
    bench: Workbench,
    one: Artefact,
    cost: Cost,
    rivals: list[Candidate],
    metric: str,
    budget: Budget,
    rule: str,
) -> tuple[str | None, int]:
    """Why the candidate was stopped and after how many images; (None, all) when it was not."""
    total = len(bench.splits.selection)
    reason = unsound(bench, one)
    if reason is not None:
        return reason, min(total, part_size(total, bench.feeding.batch))
    if rule == OFF:
        return None, total
    original = bench.trace("original", bench.model.path, bench.model.sha256, "selection")
    labels = candidates.split_labels(bench, "selection")
    size = part_size(total, bench.feeding.batch)
    for count in range(size, total, size):
        trace = bench.of(one.name).trace(one.name, one.path, one.sha256, "selection", one.runtime, count)
        now = standing(original.top, trace.top, labels)
        reason = _reason(one, cost, now, rivals, metric, budget, rule)
        if reason is not None:
            return reason, count
    return None, total


def _reason(
    one: Artefact, cost: Cost, now: Standing, rivals: list[Candidate], metric: str, budget: Budget, rule: str
) -> str | None:
    """Why a candidate that stands like this will be rejected, or None while that is open."""
    spent = over_budget(cost, budget)
    if spent is not None:
        return f"{spent}; scored on {now.seen:,} of {now.total:,} images"
    if one.name == REFERENCE:
        return None
    if budget.max_drop is not None:
        sure = verdict(now, metric, budget.max_drop, rule)
        if sure is not None:
            return sure
    for rival in rivals:
        if overtaken(rival, cost, now.lowest_drop, now.losses + now.wins, budget, one.recipe.loss):
            return f"cannot become better than {rival.name} in latency, drop or size: certain {now.words}"
    return None
