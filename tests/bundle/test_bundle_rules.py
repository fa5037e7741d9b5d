"""Every rule of a manifest, broken once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from factory import make_bundle_parts
from shoestring.base import canonical
from shoestring.base.errors import BundleError
from shoestring.base.limits import MAX_BLOBS, MAX_EVIDENCE_BYTES, MAX_LABEL_NAMES
from shoestring.bundle.evidence_rules import check_evidence
from shoestring.bundle.rules import check_manifest
from shoestring.domain.evidence import Evidence
from shoestring.domain.manifest import Manifest

PARTS = make_bundle_parts()

Change = Callable[[dict[str, Any]], object]


def _changed(noun: object, change: Change) -> Any:
    plain = json.loads(canonical.encode(noun))
    change(plain)
    return canonical.convert(plain, type(noun), ValueError)


def _set(*path: Any, value: Any) -> Change:
    def change(plain: Any) -> None:
        for key in path[:-1]:
            plain = plain[key]
        plain[path[-1]] = value

    return change


RUNG = ("ladder", "rungs", 0)
CANDIDATE = (*RUNG, "candidate")
TIMING = (*CANDIDATE, "cost", "timings", 0)
SCORE = (*CANDIDATE, "scores", 0)
CERTIFICATE = (*RUNG, "certificate")
HEX = "e" * 64

BROKEN: list[tuple[Change, str]] = [
    (_set("format", value=1), "format is 1"),
    (_set("format", value=3), "format is 3"),
    (_set("source_sha256", value=HEX.upper()), "source_sha256"),
    (_set("blobs", 0, "sha256", value="../../etc/passwd"), "blob name"),
    (_set("blobs", 0, "sha256", value="E" + "e" * 63), "blob name"),
    (_set("blobs", 0, "sha256", value=HEX + "\n"), "blob name"),
    (_set("blobs", 0, "size_bytes", value=-1), "size -1"),
    (_set("blobs", 0, "size_bytes", value=2**40), "size 1099511627776"),
    (lambda m: m["blobs"].reverse(), "out of order"),
    (lambda m: m["blobs"].insert(0, m["blobs"][0]), "listed twice"),
    (lambda m: m["blobs"].pop(), "not among the blobs"),
    (lambda m: m["blobs"].append({"sha256": "f" * 64, "size_bytes": 1}), "named by nothing"),
    (lambda m: m.update(blobs=[{"sha256": HEX, "size_bytes": 0}] * (MAX_BLOBS + 1)), f"limit is {MAX_BLOBS}"),
    (_set("name", value=""), "name '' is empty"),
    (_set("name", value="a\nb"), "control characters"),
    (_set("created_by", value="\x9b31m"), "control characters"),
    (_set("labels", 0, value="\x1b[2J"), "control characters"),
    (_set("labels", value=["x"] * (MAX_LABEL_NAMES + 1)), f"limit is {MAX_LABEL_NAMES}"),
    (lambda m: m["labels"].append("fifth"), "5 class names for 4 classes"),
    (_set("preprocess", "resize", value="guess"), "preprocess: resize 'guess'"),
    (_set("preprocess", "std", value=[0.0, 1.0, 1.0]), "std must be above zero"),
    (_set("input", "dtype", value="float64"), "the input is float64"),
    (_set("input", "shape", value=[1, 3, 9, 8]), "the input has shape"),
    (_set("input", "shape", value=[1, 3, 8]), "the input has shape"),
    (_set("input", "shape", value=[]), "the input has the shape"),
    (_set("input", "shape", value=[0, 3, 8, 8]), "the input has the shape"),
    (_set("output", "shape", value=[1, 4, 1, 1]), r"not \(batch, classes\)"),
    (_set("output", "shape", value=[1] * 100), "the output has the shape"),
    (_set("budget", "max_drop", value=1.5), "max_drop is 1.5"),
    (_set("budget", "confidence", value=1.0), "confidence is 1.0"),
    (_set("budget", "latency_ms", value=0.0), "latency_ms is 0.0"),
    (_set("budget", "threads", value=-2), "threads is -2"),
    (_set("ladder", "chosen", value="int9"), "'int9' is not on the ladder"),
    (_set("ladder", "rungs", value=[]), "not on the ladder"),
    (_set("ladder", "rejected", 0, "candidate", "recipe", "name", value="int8"), "two candidates"),
    (_set(*CANDIDATE, "recipe", "name", value="int\x1b8"), "cannot be printed"),
    (_set(*RUNG, "threads", value=3), "3 threads, at which nothing was measured"),
    (_set(*TIMING, "threads", value=0), "timings at"),
    (_set(*TIMING, "threads", value=10**9), "timings at"),
    (_set(*TIMING, "threads", value=4), "timings at"),
    (_set(*CANDIDATE, "cost", "timings", value=[]), "timings at"),
    (_set(*TIMING, "median_ms", value=0.0), "0.0 ms"),
    (_set(*TIMING, "low_ms", value=1e9), "between"),
    (_set(*TIMING, "runs", value=0), "over 0 runs"),
    (_set(*TIMING, "ratio_low", value=-1.0), "ratios"),
    (_set(*CANDIDATE, "cost", "peak_rss_bytes", value=-1), "-1 bytes of memory"),
    (_set(*CANDIDATE, "cost", "size_bytes", value=7), "its cost says 7"),
    (_set(*CANDIDATE, "scores", value=[]), "has no score"),
    (_set(*SCORE, "metric", value="top-7"), "'top-7' is not one of"),
    (_set(*SCORE, "value", value=0.123), "0.123, but"),
    (_set(*SCORE, "original", value=1.5), "1.5, but"),
    (_set(*SCORE, "drop_high", value=2.0), "outside -1 to 1"),
    (_set(*SCORE, "drop_low", value=0.9), "drop from 0.9"),
    (_set(*SCORE, "confidence", value=-0.1), "confidence is -0.1"),
    (_set(*SCORE, "paired", "n", value=0), "no 0 pairs"),
    (_set(*SCORE, "paired", "losses", value=-1), "-1 losses"),
    (_set(*SCORE, "paired", "wins", value=25), "25 wins"),
    (_set(*CERTIFICATE, "paired", "variant_hits", value=99), "hits"),
    (_set(*CERTIFICATE, "paired", "original_hits", value=99), "hits"),
    (_set(*CERTIFICATE, "metric", value=""), "the metric ''"),
    (_set(*CERTIFICATE, "max_drop", value=-0.1), "max_drop is -0.1"),
    (_set(*CERTIFICATE, "p_value", value=1.1), "p_value is 1.1"),
    (_set(*CERTIFICATE, "confidence", value=95.0), "confidence is 95.0"),
    (_set(*CERTIFICATE, "artefact_sha256", value=HEX), "not of this rung's"),
    (_set(*CERTIFICATE, "runtime_version", value="9"), "checked on onnxruntime 9"),
    (_set(*CANDIDATE, "artefact_sha256", value=HEX), "not of this rung's"),
    (_set("golden", "inputs", value=HEX), "golden inputs is"),
    (_set("golden", "outputs", "int8", value=HEX), "golden outputs of 'int8' is"),
    (lambda m: m["golden"]["outputs"].pop("int8"), "golden outputs and the rungs"),
    (_set("golden", "tolerance", "int9", value=0.1), "golden tolerance and the rungs"),
    (_set("golden", "tolerance", "int8", value=-0.1), "below zero"),
    (_set("evidence", value=HEX), "the evidence is"),
]


def test_the_synthetic_manifest_is_sound() -> None:
    check_manifest(PARTS.manifest)
    check_evidence(PARTS.evidence)


@pytest.mark.parametrize(("change", "words"), BROKEN, ids=[f"{i}-{words}" for i, (_, words) in enumerate(BROKEN)])
def test_each_rule_refuses(change: Change, words: str) -> None:
    broken: Manifest = _changed(PARTS.manifest, change)
    with pytest.raises(BundleError, match=words) as caught:
        check_manifest(broken)
    assert caught.value.message.isprintable()
    assert caught.value.hint


def test_evidence_beyond_its_limit_is_refused() -> None:
    def change(manifest: dict[str, Any]) -> None:
        for blob in manifest["blobs"]:
            if blob["sha256"] == manifest["evidence"]:
                blob["size_bytes"] = MAX_EVIDENCE_BYTES + 1

    with pytest.raises(BundleError, match=f"limit is {MAX_EVIDENCE_BYTES}"):
        check_manifest(_changed(PARTS.manifest, change))


def _share_an_image(evidence: dict[str, Any]) -> None:
    evidence["splits"][2]["images"][0] = evidence["splits"][1]["images"][0]


def _answers(evidence: dict[str, Any], candidate: str, split: str) -> list[list[int]]:
    """The answers of one trace."""
    return next(t["top"] for t in evidence["traces"] if (t["candidate"], t["split"]) == (candidate, split))


BROKEN_EVIDENCE: list[tuple[Change, str]] = [
    (_share_an_image, "is in 'selection' and in 'certification'"),
    (_set("splits", 0, "name", value="selection"), "two splits"),
    (_set("splits", 0, "images", 0, value="photo.jpg"), "image 'photo.jpg'"),
    (_set("splits", 0, "labels", value=[1]), "1 labels for 8 images"),
    (_set("splits", 0, "labels", 0, value=-1), "below zero"),
    (_set("traces", 0, "split", value="moon"), "'moon', a split that is not there"),
    (_set("traces", 1, "candidate", value="original"), "two traces of 'original'"),
    (lambda e: e["traces"][0]["top"].pop(), "29 answers of 'original'"),
    (lambda e: _answers(e, "int8", "selection").clear(), "0 answers of 'int8' for 30 images of 'selection'"),
    (lambda e: _answers(e, "int8", "selection").append([0]), "31 answers of 'int8' for 30 images of 'selection'"),
    (lambda e: _answers(e, "int8", "certification").pop(), "answers of 'int8' for .* images of 'certification'"),
    (_set("traces", 0, "top", 0, value=[]), "answers classes"),
    (_set("traces", 0, "top", 0, value=[1, 1]), "answers classes"),
    (_set("traces", 0, "top", 0, value=[-1]), "answers classes"),
    (_set("traces", 0, "top", 0, value=[0, 1, 2, 3, 4, 5]), "answers classes"),
]


def test_scoring_may_stop_early_on_the_selection_split() -> None:
    check_evidence(_changed(PARTS.evidence, lambda evidence: _answers(evidence, "int8", "selection").pop()))


@pytest.mark.parametrize(("change", "words"), BROKEN_EVIDENCE, ids=[words for _, words in BROKEN_EVIDENCE])
def test_each_rule_of_evidence_refuses(change: Change, words: str) -> None:
    broken: Evidence = _changed(PARTS.evidence, change)
    with pytest.raises(BundleError, match=words):
        check_evidence(broken)
