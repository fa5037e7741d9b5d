"""Bundles of every kind that a bill of materials may speak of."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from factory import BundleParts, make_bundle_parts
from factory_detector import make_detector_parts
from shoestring.domain.cascade import RUNTIME, Cascade, Stage, identity, mean_ms
from shoestring.domain.cost import Predicted
from shoestring.domain.evidence import Evidence
from shoestring.domain.ladder import Offered, Rung
from shoestring.domain.manifest import Manifest, Student
from shoestring.domain.score import AlsoChecked
from text_bundles import make_writer_parts

KINDS = ("classifier", "unlabelled", "detector", "cascade", "student", "offered", "elsewhere", "writer")


def complaint(bom: Any) -> str | None:
    """What CycloneDX's own schema says against a bill; None where it holds."""
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom))
    return None if found is None else str(found)


@cache
def kind(name: str) -> tuple[Manifest, Evidence]:
    """Manifest and evidence of a bundle of that kind."""
    if name == "writer":
        written = make_writer_parts()
        return written.manifest, written.evidence
    parts = make_detector_parts() if name == "detector" else make_bundle_parts()
    changed = {
        "unlabelled": _unlabelled,
        "cascade": _cascade,
        "student": _student,
        "offered": _offered,
        "elsewhere": _elsewhere,
    }
    return changed[name](parts) if name in changed else (parts.manifest, parts.evidence)


def _unlabelled(parts: BundleParts) -> tuple[Manifest, Evidence]:
    splits = tuple(replace(split, labels=None) for split in parts.evidence.splits)
    return replace(parts.manifest, labels=()), replace(parts.evidence, splits=splits, sensitivity=())


def _cascade(parts: BundleParts) -> tuple[Manifest, Evidence]:
    ladder = parts.manifest.ladder
    given = ladder.rungs[0].certificate
    assert given is not None
    stages = tuple(
        Stage(rung.name, rung.candidate.artefact_sha256, 1, threshold, False, 1.0 + place, 0.1, 10, 20)
        for place, (rung, threshold) in enumerate(zip(ladder.rungs, (700, 300, None), strict=True))
    )
    certificate = replace(given, runtime=RUNTIME, artefact_sha256=identity("margin", stages))
    cascade = Cascade("margin", stages, mean_ms(stages, (10, 10, 10)), certificate)
    return replace(parts.manifest, ladder=replace(ladder, cascade=cascade)), parts.evidence


def _renamed(rung: Rung, name: str) -> Rung:
    candidate = rung.candidate
    return replace(rung, candidate=replace(candidate, recipe=replace(candidate.recipe, name=name)))


def _student(parts: BundleParts) -> tuple[Manifest, Evidence]:
    manifest = parts.manifest
    rungs = (_renamed(manifest.ladder.rungs[0], "small:int8"), *manifest.ladder.rungs[1:])
    student = Student("small", "5" * 64, manifest.input, manifest.output, manifest.preprocess)
    ladder = replace(manifest.ladder, rungs=rungs, chosen="small:int8")
    return replace(manifest, ladder=ladder, students=(student,)), parts.evidence


def _offered(parts: BundleParts) -> tuple[Manifest, Evidence]:
    """A rung for an accelerator that nothing was measured on: its cost is an estimate, it has no certificate."""
    ladder = parts.manifest.ladder
    first = _renamed(ladder.rungs[0], "int8-legal")
    predicted = Predicted("coral-dev-board", "rows", ("published rows",), (), 0.9, 1_000, 2_000_000)
    timings = tuple(replace(timing, runs=0) for timing in first.candidate.cost.timings)
    cost = replace(first.candidate.cost, predicted=predicted, timings=timings)
    rung = replace(first, candidate=replace(first.candidate, cost=cost, runtime="edgetpu"), certificate=None)
    offered = Offered(rung, "litert 2.3.0", "LiteRT answered in its place")
    return replace(parts.manifest, ladder=replace(ladder, offered=(offered,))), parts.evidence


def _elsewhere(parts: BundleParts) -> tuple[Manifest, Evidence]:
    """Certificates that were checked on another board, and costs that were measured there."""
    rung, *rest = parts.manifest.ladder.rungs
    given = rung.certificate
    assert given is not None
    also = AlsoChecked("raspberry-pi-4b-4gb", "Cortex-A72", ("asimd",), "qemu 7.2", "1.2", 8, 7, given.paired)
    better = replace(rung, certificate=replace(given, also=(also,)))
    evidence = replace(parts.evidence, measured_on=replace(parts.evidence.machine, name="Cortex-A72", arch="aarch64"))
    return replace(parts.manifest, ladder=replace(parts.manifest.ladder, rungs=(better, *rest))), evidence
