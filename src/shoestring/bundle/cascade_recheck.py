"""Run a cascade again over the stored answers: which stage answered which image, and how often it was right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.bundle.refusal import refuse
from shoestring.domain.cascade import stands
from shoestring.domain.score import Paired, is_agreement

if TYPE_CHECKING:
    from shoestring.domain.cascade import Cascade
    from shoestring.domain.evidence import Evidence, Reading

ORIGINAL = "original"


def replay_cascade(evidence: Evidence, cascade: Cascade, split: str) -> tuple[tuple[int, ...], Paired]:
    """Images that each stage answers, and the counts of the whole against the original.

    Args:
        evidence: checked.
        cascade: of the same bundle.
        split: `selection` or `certification`.

    Raises:
        BundleError: the evidence lacks the answers, how sure they were, or the labels.
    """
    readings = [_reading(evidence, stage.rung, split) for stage in cascade.stages]
    try:
        original = [top[0] for top in evidence.trace(ORIGINAL, split).top]
    except KeyError:
        raise refuse(f"evidence: the original's answers on {split!r} are not there") from None
    labels = evidence.split(split).labels
    if not is_agreement(evidence.metric) and labels is None:
        raise refuse(f"evidence: {evidence.metric} of the cascade needs labels, and {split!r} has none")
    right = original if is_agreement(evidence.metric) or labels is None else labels
    answered = [0] * len(readings)
    before = after = wins = losses = 0
    for image in range(len(original)):
        place = next(
            place
            for place, stage in enumerate(cascade.stages)
            if stands(readings[place].levels[cascade.measure][image], stage.threshold)
        )
        answered[place] += 1
        was, hit = original[image] == right[image], readings[place].first[image] == right[image]
        before, after = before + was, after + hit
        wins, losses = wins + (hit and not was), losses + (was and not hit)
    return tuple(answered), Paired(len(original), before, after, wins=wins, losses=losses)


def check_cascade_counts(evidence: Evidence, cascade: Cascade) -> None:
    """Hold a cascade's counts and shares against the evidence. Raises BundleError where they differ."""
    if cascade.certificate.metric != evidence.metric:
        raise refuse(f"the cascade's certificate is of {cascade.certificate.metric}, not of {evidence.metric}")
    found, _ = replay_cascade(evidence, cascade, "selection")
    claimed = tuple(stage.answered for stage in cascade.stages)
    if found != claimed:
        raise refuse(f"the cascade's stages answer {found} images of the selection split, not {claimed}")
    found, paired = replay_cascade(evidence, cascade, "certification")
    claimed = tuple(stage.answered_certification for stage in cascade.stages)
    if found != claimed:
        raise refuse(f"the cascade's stages answer {found} images of the certification split, not {claimed}")
    if paired != cascade.certificate.paired:
        raise refuse(f"the cascade's answers give {paired}, not {cascade.certificate.paired}")


def _reading(evidence: Evidence, rung: str, split: str) -> Reading:
    try:
        return evidence.reading(rung, split)
    except KeyError:
        raise refuse(f"evidence: how sure {rung!r} was on {split!r} is not there") from None
