"""The certificates' counts, taken again from the stored answers: the page does not repeat what it can check."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from shoestring.domain.evidence import Evidence, Trace
from shoestring.domain.score import Paired, is_agreement

ORIGINAL = "original"
CERTIFICATION = "certification"


@dataclass(frozen=True)
class Overlap:
    """Two splits that share images; they must not."""

    first: str
    second: str
    images: int


def overlaps(evidence: Evidence) -> tuple[Overlap, ...]:
    """Every pair of splits that share an image, by content hash; empty when the splits are disjoint."""
    found = []
    for first, second in combinations(evidence.splits, 2):
        shared = len(set(first.images) & set(second.images))
        if shared:
            found.append(Overlap(first.name, second.name, shared))
    return tuple(found)


def recount(evidence: Evidence, candidate: str, metric: str) -> Paired | None:
    """Counts of `candidate` on the certification split, from the stored answers.

    Args:
        evidence: with the traces.
        candidate: its name.
        metric: one of `domain.score.METRICS`.

    Returns:
        The counts, or None where the evidence does not hold the answers or the labels.
    """
    traces = {trace.candidate: trace for trace in evidence.traces if trace.split == CERTIFICATION}
    split = next((item for item in evidence.splits if item.name == CERTIFICATION), None)
    original, variant = traces.get(ORIGINAL), traces.get(candidate)
    if split is None or original is None or variant is None:
        return None
    if not len(original.top) == len(variant.top) == len(split.images) > 0:
        return None
    if is_agreement(metric):
        return _agreement(original, variant)
    return None if split.labels is None else _labelled(original, variant, split.labels, 5 if metric == "top-5" else 1)


def _agreement(original: Trace, variant: Trace) -> Paired:
    n = len(original.top)
    same = sum(mine[:1] == theirs[:1] for mine, theirs in zip(variant.top, original.top, strict=True))
    return Paired(n=n, original_hits=n, variant_hits=same, wins=0, losses=n - same)


def _labelled(original: Trace, variant: Trace, labels: tuple[int, ...], depth: int) -> Paired | None:
    if len(labels) != len(original.top):
        return None
    pairs = [
        (label in theirs[:depth], label in mine[:depth])
        for label, theirs, mine in zip(labels, original.top, variant.top, strict=True)
    ]
    return Paired(
        n=len(pairs),
        original_hits=sum(theirs for theirs, _ in pairs),
        variant_hits=sum(mine for _, mine in pairs),
        wins=sum(mine and not theirs for theirs, mine in pairs),
        losses=sum(theirs and not mine for theirs, mine in pairs),
    )
