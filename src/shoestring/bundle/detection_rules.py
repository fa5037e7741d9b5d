"""What a bundle of a detector must keep: a head that reads its output, and counts that bear its traces out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shoestring.bundle.refusal import refuse
from shoestring.domain.score import DETECTION_AGREEMENT
from shoestring.heads.check import flat_length, head_problems

if TYPE_CHECKING:
    from shoestring.domain.detection import Detections, Differences
    from shoestring.domain.evidence import Evidence
    from shoestring.domain.head import Head
    from shoestring.domain.manifest import Manifest

CERTIFICATION = "certification"
ORIGINAL = "original"
ALIKE, DIFFERENT = (1,), (0,)
SLACK = 1e-9


def check_head(head: Head, length: int | None) -> None:
    """Raises BundleError unless the head is sound and reads outputs of that length."""
    problems = head_problems(head)
    if problems:
        raise refuse(f"detection head: {'; '.join(problems)}")
    if length != flat_length(head):
        raise refuse(f"the output has {length} values, its detection head reads {flat_length(head)}")


def check_detector(manifest: Manifest) -> None:
    """Raises BundleError where scores are of detections without a head, or the other way round, or for a cascade."""
    candidates = [
        *(rung.candidate for rung in manifest.ladder.runnable),
        *(item.candidate for item in manifest.ladder.rejected),
    ]
    wanted = manifest.head is not None
    for candidate in candidates:
        for score in candidate.scores:
            if (score.metric == DETECTION_AGREEMENT) != wanted:
                what = "a detector" if wanted else "no detector"
                raise refuse(f"the score of {candidate.name!r} is of {score.metric}, and the bundle is of {what}")
    if wanted and manifest.ladder.cascade is not None:
        raise refuse("it is of a detector and has a cascade")
    if wanted and manifest.students:
        raise refuse("it is of a detector and has students")


def check_detections(evidence: Evidence) -> None:
    """Hold what lies behind a detector's traces against them.

    Raises:
        BundleError: it is missing or there without need, its counts cannot be counted, or a trace says something else.
    """
    if (evidence.detections is not None) != (evidence.metric == DETECTION_AGREEMENT):
        there = "no counts" if evidence.detections is None else "counts"
        raise refuse(f"evidence: its metric is {evidence.metric}, and there are {there} of detections")
    if evidence.detections is None:
        return
    for trace in evidence.traces:
        allowed = (ALIKE,) if trace.candidate == ORIGINAL else (ALIKE, DIFFERENT)
        odd = next((answer for answer in trace.top if answer not in allowed), None)
        if odd is not None:
            raise refuse(f"evidence: {trace.candidate!r} of a detector answers {odd} on {trace.split!r}")
    _check_counts(evidence, evidence.detections)


def _check_counts(evidence: Evidence, kept: Detections) -> None:
    rule = kept.rule
    if not (0 < rule.seen <= rule.sure < 1 and 0 < rule.overlap < 1):
        raise refuse(f"evidence: detections are alike by the rule {rule}")
    traces = {trace.candidate: trace for trace in evidence.traces if trace.split == CERTIFICATION}
    names = [one.candidate for one in kept.differences]
    if len(set(names)) != len(names):
        raise refuse(f"evidence: detections of a candidate are there twice: {', '.join(names)}")
    images = next((len(split.images) for split in evidence.splits if split.name == CERTIFICATION), 0)
    if len(kept.confident) != images or min(kept.confident, default=0) < 0:
        raise refuse(f"evidence: {len(kept.confident)} counts of confident objects for {images} images")
    for one in kept.differences:
        if one.candidate not in traces:
            raise refuse(f"evidence: detections of {one.candidate!r}, whose answers are not there")
        _check_differences(kept, one)
        said = tuple(ALIKE if _same(one, place) else DIFFERENT for place in range(images))
        if said != traces[one.candidate].top:
            raise refuse(f"evidence: objects lost and invented by {one.candidate!r} do not give its answers")


def _check_differences(kept: Detections, one: Differences) -> None:
    where = f"evidence: detections of {one.candidate!r}"
    for name, counts in (("lost", one.lost), ("invented", one.invented)):
        if len(counts) != len(kept.confident) or min(counts, default=0) < 0:
            raise refuse(f"{where}: {len(counts)} counts of {name} objects for {len(kept.confident)} images")
    if any(lost > there for lost, there in zip(one.lost, kept.confident, strict=True)):
        raise refuse(f"{where}: more objects are lost than the original saw")
    left = sum(kept.confident) - sum(one.lost)
    least = kept.rule.overlap if left else 0.0
    if not (math.isfinite(one.overlap) and least - SLACK <= one.overlap <= (1 + SLACK if left else 0.0)):
        raise refuse(f"{where}: a mean overlap of {one.overlap}, outside {least} to {1 if left else 0}")


def _same(one: Differences, place: int) -> bool:
    return one.lost[place] == 0 and one.invented[place] == 0


def recheck_detections(manifest: Manifest, evidence: Evidence) -> None:
    """Raises BundleError unless the evidence of a detector has the counts of every rung, and that of others none."""
    if (manifest.head is None) != (evidence.detections is None):
        raise refuse("the manifest and the evidence do not agree on whether this is a detector")
    if evidence.detections is None:
        return
    wanted = [rung.name for rung in manifest.ladder.rungs]
    found = [one.candidate for one in evidence.detections.differences]
    if found != wanted:
        raise refuse(f"evidence: detections of {', '.join(found) or 'nobody'}, the rungs are {', '.join(wanted)}")


__all__ = ["check_detections", "check_detector", "check_head", "recheck_detections"]
