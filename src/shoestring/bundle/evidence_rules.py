"""What evidence must keep so that counts can be taken from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base.sureness import MAX_LEVEL, MEASURES
from shoestring.bundle.detection_rules import check_detections
from shoestring.bundle.divergence_rules import check_blocks
from shoestring.bundle.proof_rules import check_proofs
from shoestring.bundle.refusal import refuse
from shoestring.bundle.rules import is_hash

if TYPE_CHECKING:
    from shoestring.domain.evidence import Evidence, Reading, Split, Trace

MAX_TOP = 5
SELECTION = "selection"
ORIGINAL = "original"


def check_evidence(evidence: Evidence) -> None:
    """Hold evidence against its rules.

    Raises:
        BundleError: splits that share an image or lack labels, traces or proofs that do not fit their split.
    """
    splits: dict[str, Split] = {}
    where: dict[str, str] = {}
    for split in evidence.splits:
        if split.name in splits:
            raise refuse(f"evidence: two splits are called {split.name!r}")
        splits[split.name] = split
        _check_split(split, where)
    seen = set()
    for trace in evidence.traces:
        key = (trace.candidate, trace.split)
        if key in seen:
            raise refuse(f"evidence: two traces of {trace.candidate!r} on {trace.split!r}")
        seen.add(key)
        if trace.split not in splits:
            raise refuse(f"evidence: a trace of {trace.candidate!r} on {trace.split!r}, a split that is not there")
        _check_trace(trace, splits[trace.split])
    _check_readings(evidence.readings, splits)
    check_proofs(evidence)
    check_detections(evidence)
    check_blocks(evidence)


def _check_split(split: Split, where: dict[str, str]) -> None:
    """`where` holds the split of every image seen so far, and is added to."""
    if split.labels is not None and len(split.labels) != len(split.images):
        raise refuse(f"evidence: {len(split.labels)} labels for {len(split.images)} images of {split.name!r}")
    if split.labels and min(split.labels) < 0:
        raise refuse(f"evidence: a label of {split.name!r} is {min(split.labels)}, below zero")
    for image in split.images:
        if not is_hash(image):
            raise refuse(f"evidence: image {image!r} of {split.name!r} is not 64 lower-case hexadecimal digits")
        # The same image twice in one split is a fact of many data sets; in two splits it undoes the certificate.
        if where.setdefault(image, split.name) != split.name:
            raise refuse(f"evidence: image {image} is in {where[image]!r} and in {split.name!r}")


def _check_trace(trace: Trace, split: Split) -> None:
    given, wanted = len(trace.top), len(split.images)
    # Scoring may stop early where candidates are chosen, never where they are certified; what they are held against
    # is always whole. That a rung's answers are whole is for `recheck` to see, which knows the rungs.
    may_be_short = split.name == SELECTION and trace.candidate != ORIGINAL
    if given > wanted or given < (min(1, wanted) if may_be_short else wanted):
        raise refuse(f"evidence: {given} answers of {trace.candidate!r} for {wanted} images of {split.name!r}")
    for answer in trace.top:
        if not 1 <= len(answer) <= MAX_TOP or min(answer) < 0 or len(set(answer)) != len(answer):
            raise refuse(f"evidence: {trace.candidate!r} answers classes {answer[: MAX_TOP + 1]}")


def _check_readings(readings: tuple[Reading, ...], splits: dict[str, Split]) -> None:
    seen = set()
    for reading in readings:
        where = f"how sure {reading.candidate!r} was on {reading.split!r}"
        if (reading.candidate, reading.split) in seen:
            raise refuse(f"evidence: {where} is there twice")
        seen.add((reading.candidate, reading.split))
        if reading.split not in splits:
            raise refuse(f"evidence: {where}, a split that is not there")
        if set(reading.levels) != set(MEASURES):
            raise refuse(f"evidence: {where} has the measures {sorted(reading.levels)}, not {sorted(MEASURES)}")
        wanted = len(splits[reading.split].images)
        for values, most in ((reading.first, None), *((levels, MAX_LEVEL) for levels in reading.levels.values())):
            if len(values) != wanted:
                raise refuse(f"evidence: {where} has {len(values)} values for {wanted} images")
            if values and (min(values) < 0 or (most is not None and max(values) > most)):
                raise refuse(f"evidence: {where} holds {min(values)} to {max(values)}, outside its range")
