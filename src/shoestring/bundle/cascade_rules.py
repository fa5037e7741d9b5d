"""What a cascade and students in a manifest must keep so that the rest may rely on them."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from shoestring.base.sureness import MAX_LEVEL, MEASURES
from shoestring.bundle.ladder_rules import check_paired
from shoestring.bundle.refusal import check_fraction, refuse
from shoestring.domain.cascade import RUNTIME, identity, mean_ms
from shoestring.domain.manifest import STUDENT_MARK, student_name
from shoestring.domain.score import METRICS

if TYPE_CHECKING:
    from shoestring.domain.cascade import Cascade, Stage
    from shoestring.domain.ladder import Candidate, Ladder
    from shoestring.domain.manifest import Manifest
    from shoestring.domain.preprocess import Preprocess

MIN_STAGES, MAX_STAGES = 2, 3


def check_cascade(ladder: Ladder) -> None:
    """Hold the cascade of a ladder, if any, against its rules. Raises BundleError with the first that is broken."""
    cascade = ladder.cascade
    if cascade is None:
        return
    if not MIN_STAGES <= len(cascade.stages) <= MAX_STAGES:
        raise refuse(f"the cascade has {len(cascade.stages)} stages, not {MIN_STAGES} to {MAX_STAGES}")
    if cascade.measure not in MEASURES:
        raise refuse(f"the cascade's measure {cascade.measure!r} is not one of {', '.join(MEASURES)}")
    candidates = {rung.name: rung.candidate for rung in ladder.rungs}
    candidates |= {item.candidate.name: item.candidate for item in ladder.rejected}
    names = [stage.rung for stage in cascade.stages]
    if len(set(names)) != len(names):
        raise refuse(f"the cascade runs a rung twice: {', '.join(map(repr, names))}")
    for place, stage in enumerate(cascade.stages):
        if stage.rung not in candidates:
            raise refuse(f"the cascade's stage {stage.rung!r} is no candidate")
        _check_stage(stage, candidates[stage.rung], last=place == len(names) - 1)
    for one, other in pairwise(cascade.stages):
        if one.latency_ms > other.latency_ms:
            raise refuse(f"the cascade's stage {one.rung!r} is dearer than {other.rung!r}, which follows it")
    _check_figures(cascade, candidates[names[-1]].score.paired.n)


def check_students(manifest: Manifest, preprocess: Preprocess) -> None:
    """Hold the students of a bundle for images against their rules, and every candidate that names one.

    Raises:
        BundleError: the first rule that is broken.
    """
    names = [student.name for student in manifest.students]
    for student in manifest.students:
        name = student.name
        if not name or not name.isprintable() or STUDENT_MARK in name or names.count(name) > 1:
            raise refuse(f"the student name {name!r} is empty, cannot be printed, has a colon or is there twice")
        problems = student.preprocess.problems()
        if problems:
            raise refuse(f"preprocess of student {name!r}: {'; '.join(problems)}")
        if student.preprocess.colour != preprocess.colour:
            raise refuse(f"student {name!r} takes {student.preprocess.colour}, its pixels come as the original's")
        if student.output.shape[1:] != manifest.output.shape[1:]:
            raise refuse(f"student {name!r} answers {student.output.shape}, the original {manifest.output.shape}")
    ladder = manifest.ladder
    for candidate in [*(rung.candidate for rung in ladder.rungs), *(item.candidate for item in ladder.rejected)]:
        named = student_name(candidate.name)
        if named is not None and named not in names:
            raise refuse(f"candidate {candidate.name!r} is of student {named!r}, which is not there")


def _check_stage(stage: Stage, candidate: Candidate, *, last: bool) -> None:
    where = f"stage {stage.rung!r}"
    if last != (stage.threshold is None):
        raise refuse(f"{where} has the threshold {stage.threshold}; every stage but the last needs one")
    if stage.threshold is not None and not 0 <= stage.threshold <= MAX_LEVEL + 1:
        raise refuse(f"{where} has the threshold {stage.threshold}, outside 0 to {MAX_LEVEL + 1}")
    if stage.artefact_sha256 != candidate.artefact_sha256:
        raise refuse(f"{where} runs model {stage.artefact_sha256!r}, not that of its rung")
    medians = {timing.threads: timing.median_ms for timing in candidate.cost.timings}
    if medians.get(stage.threads) != stage.latency_ms:
        raise refuse(f"{where} takes {stage.latency_ms} ms at {stage.threads} threads, measured were {medians}")
    if not 0 <= stage.overhead_ms < math.inf:
        raise refuse(f"{where} adds {stage.overhead_ms} ms, not at least zero")
    if stage.answered < 0 or stage.answered_certification < 0:
        raise refuse(f"{where} answers {stage.answered} and {stage.answered_certification} images")


def _check_figures(cascade: Cascade, selected: int) -> None:
    given, stages = cascade.certificate, cascade.stages
    if given.metric not in METRICS:
        raise refuse(f"the cascade's certificate is of {given.metric!r}, not one of {', '.join(METRICS)}")
    check_paired("certificate of the cascade", given.paired)
    for name in ("max_drop", "confidence", "p_value"):
        check_fraction("certificate of the cascade", name, getattr(given, name))
    if given.artefact_sha256 != identity(cascade.measure, stages) or given.runtime != RUNTIME:
        raise refuse("the cascade's certificate speaks of another cascade than the one beside it")
    answered = tuple(stage.answered for stage in stages)
    for what, total, n in (
        ("selection", sum(answered), selected),
        ("certification", sum(stage.answered_certification for stage in stages), given.paired.n),
    ):
        if total != n:
            raise refuse(f"the cascade's stages answer {total} of {n} images of the {what} split")
    if not math.isclose(cascade.expected_ms, mean_ms(stages, answered), rel_tol=1e-9):
        raise refuse(f"the cascade takes {cascade.expected_ms} ms, its stages give {mean_ms(stages, answered)}")


__all__ = ["check_cascade", "check_students"]
