"""Bundles of detectors: sound ones pass, and every rule is broken once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory import make_bundle_parts, swap_blob
from factory_detector import OBJECTS, make_detector_evidence, make_detector_parts
from shoestring.base import canonical
from shoestring.base.errors import BundleError
from shoestring.bundle import open_bundle, pack, recheck_counts
from shoestring.bundle.evidence_rules import check_evidence
from shoestring.bundle.rules import check_manifest

PARTS = make_detector_parts()

Change = Callable[[dict[str, Any]], object]


def changed(noun: object, change: Change) -> Any:
    plain = json.loads(canonical.encode(noun))
    change(plain)
    return canonical.convert(plain, type(noun), ValueError)


def put(*path: Any, value: Any) -> Change:
    def change(plain: Any) -> None:
        for key in path[:-1]:
            plain = plain[key]
        plain[path[-1]] = value

    return change


def test_a_sound_bundle_passes(tmp_path: Path) -> None:
    pack(tmp_path / "a.shoe", PARTS.manifest, PARTS.blobs)
    with open_bundle(tmp_path / "a.shoe") as bundle:
        assert bundle.manifest.head == PARTS.manifest.head
        recheck_counts(bundle)


def test_a_classifier_is_written_as_before() -> None:
    parts = make_bundle_parts()
    assert b'"head"' not in canonical.encode(parts.manifest)
    assert b'"detections"' not in canonical.encode(parts.evidence)


MANIFEST: list[tuple[Change, str]] = [
    (put("head", "kind", value="yolo-v9"), "kind 'yolo-v9'"),
    (put("head", "classes", value=4), "anchors and 4 classes need"),
    (put("head", "classes", value=0), "classes 0"),
    (put("head", "threshold", value=0.0), "threshold 0.0"),
    (put("head", "threshold", value=1.5), "threshold 1.5"),
    (put("head", "overlap", value=-0.1), "overlap -0.1"),
    (put("head", "background", value=True), "background"),
    (put("head", "anchors", value=[]), "anchors for 0 outputs"),
    (put("head", "anchors", 0, 0, value=[0.0, 3.0]), "not all above zero"),
    (put("head", "parts", value=[]), "0 outputs"),
    (put("head", "parts", 0, "name", value="fine"), "named twice"),
    (put("head", "parts", 0, "shape", value=[8, 4, 5]), "reads"),
    (put("head", "parts", 0, "shape", value=[]), "has the shape"),
    (put("output", "shape", value=[None, 641]), "the output has 641 values"),
    (put("output", "shape", value=[None, None]), "the output has None values"),
    (put("labels", value=["a", "b", "c", "d"]), "4 class names for 3 classes"),
    (lambda m: m.pop("head"), "the bundle is of no detector"),
    (put("ladder", "rejected", 0, "candidate", "scores", 0, "metric", value="agreement"), "of agreement"),
    (put("ladder", "rungs", 0, "certificate", "metric", value="mean-precision"), "metric 'mean-precision'"),
]


@pytest.mark.parametrize(("change", "words"), MANIFEST, ids=[words for _, words in MANIFEST])
def test_a_manifest_that_breaks_a_rule_is_refused(change: Change, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        check_manifest(changed(PARTS.manifest, change))


RUNG = ("detections", "differences", 0)
EVIDENCE: list[tuple[Change, str]] = [
    (lambda e: e.pop("detections"), "no counts of detections"),
    (put("metric", value="agreement"), "there are counts of detections"),
    (put("detections", "rule", "seen", value=0.6), "alike by the rule"),
    (put("detections", "rule", "sure", value=1.5), "alike by the rule"),
    (put("detections", "rule", "overlap", value=0.0), "alike by the rule"),
    (put("detections", "confident", value=[OBJECTS] * 59), "59 counts of confident objects for 60 images"),
    (put("detections", "confident", 3, value=-1), "counts of confident objects"),
    (put("detections", "confident", value=[0] * 60), "more objects are lost"),
    (put(*RUNG, "candidate", value="nobody"), "'nobody', whose answers are not there"),
    (put(*RUNG, "candidate", value="fp32"), "there twice"),
    (put(*RUNG, "lost", value=[0] * 61), "61 counts of lost"),
    (put(*RUNG, "invented", 0, value=-1), "counts of invented"),
    (put(*RUNG, "overlap", value=0.4), "mean overlap of 0.4"),
    (put(*RUNG, "overlap", value=1.2), "mean overlap of 1.2"),
    (put("detections", "differences", 2, "lost", 5, value=1), "'fp32' do not give its answers"),
    (put("detections", "differences", 2, "invented", 5, value=2), "'fp32' do not give its answers"),
    (put("traces", 0, "top", 0, value=[0]), "'original' of a detector answers"),
    (put("traces", 1, "top", 0, value=[7]), "answers"),
]


@pytest.mark.parametrize(("change", "words"), EVIDENCE, ids=[words for _, words in EVIDENCE])
def test_evidence_that_breaks_a_rule_is_refused(change: Change, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        check_evidence(changed(make_detector_evidence(), change))


def test_a_loss_hidden_from_the_counts_is_seen() -> None:
    """The saboteur: a picture on which an object was lost is called alike, and the object kept."""
    evidence = make_detector_evidence()
    kept = evidence.detections
    assert kept is not None
    first = next(one for one in kept.differences if sum(one.lost))
    healed = replace(first, lost=(0,) * 60, invented=(0,) * 60)
    rows = tuple(healed if one is first else one for one in kept.differences)
    with pytest.raises(BundleError, match="do not give its answers"):
        check_evidence(replace(evidence, detections=replace(kept, differences=rows)))


def test_every_rung_needs_its_counts(tmp_path: Path) -> None:
    evidence = PARTS.evidence
    assert evidence.detections is not None
    fewer = replace(evidence, detections=replace(evidence.detections, differences=evidence.detections.differences[1:]))
    check_evidence(fewer)
    manifest, blobs = swap_blob(PARTS, PARTS.manifest.evidence, canonical.encode(fewer))
    pack(tmp_path / "a.shoe", manifest, blobs)
    with open_bundle(tmp_path / "a.shoe") as bundle, pytest.raises(BundleError, match="the rungs are"):
        recheck_counts(bundle)
