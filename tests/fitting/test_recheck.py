"""Certificates are recomputed from the evidence; evidence or claims that were changed are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shoestring.base.canonical import encode, sha256_hex
from shoestring.base.errors import BundleError
from shoestring.bundle import open_bundle
from shoestring.cli.main import main
from shoestring.domain.budget import Budget
from shoestring.domain.evidence import Evidence
from shoestring.domain.manifest import Blob, Manifest
from shoestring.fitting import Fitted, fit
from shoestring.fitting.recheck import recheck


def with_trace(evidence: Evidence, candidate: str, split: str, top: tuple[tuple[int, ...], ...]) -> Evidence:
    changed = tuple(
        replace(trace, top=top) if (trace.candidate, trace.split) == (candidate, split) else trace
        for trace in evidence.traces
    )
    return replace(evidence, traces=changed)


def with_certificate(manifest: Manifest, name: str, **changes: object) -> Manifest:
    rungs = tuple(
        replace(rung, certificate=replace(rung.certificate, **changes)) if rung.name == name else rung
        for rung in manifest.ladder.rungs
    )
    return replace(manifest, ladder=replace(manifest.ladder, rungs=rungs))


def repacked(fitted: Fitted, evidence: Evidence) -> Fitted:
    """A bundle whose hashes all agree although its evidence was changed."""
    data = encode(evidence)
    blobs = {sha256: blob for sha256, blob in fitted.blobs.items() if sha256 != fitted.manifest.evidence}
    blobs[sha256_hex(data)] = data
    sizes = {blob.sha256: blob.size_bytes for blob in fitted.manifest.blobs} | {sha256_hex(data): len(data)}
    listed = tuple(Blob(sha256, sizes[sha256]) for sha256 in sorted(blobs))
    manifest = replace(fitted.manifest, evidence=sha256_hex(data), blobs=listed)
    return replace(fitted, manifest=manifest, evidence=evidence, blobs=blobs)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("max_drop", [0.05, None])
def test_honest_certificates_hold(task, warm, confidence, max_drop):
    """With a margin each is tested at the full error; without one they share it."""
    fitted = fit(task.model, task.data, budget=Budget(max_drop=max_drop, confidence=confidence), cache=warm)
    assert recheck(fitted.manifest, fitted.evidence) == 2
    error = (1 - confidence) / (1 if max_drop else 2)
    assert all(rung.certificate is None or rung.certificate.p_value <= error for rung in fitted.ladder.rungs)


@pytest.mark.parametrize("candidate", ["int8", "original"])
def test_a_changed_answer_is_refused(fitted, candidate):
    top = list(fitted.evidence.trace(candidate, "certification").top)
    best, second, *rest = top[7]
    top[7] = (second, best, *rest)
    with pytest.raises(BundleError, match="its evidence says"):
        recheck(fitted.manifest, with_trace(fitted.evidence, candidate, "certification", tuple(top)))


def test_changed_labels_are_refused(fitted):
    splits = tuple(
        replace(split, labels=tuple((label + 1) % 3 for label in split.labels)) for split in fitted.evidence.splits
    )
    with pytest.raises(BundleError, match="its evidence says"):
        recheck(fitted.manifest, replace(fitted.evidence, splits=splits))


@pytest.mark.parametrize("pair", [("selection", "certification"), ("calibration", "certification")])
def test_an_image_in_two_splits_is_refused(fitted, pair):
    leaked = fitted.evidence.split(pair[0]).images[0]
    splits = tuple(
        replace(split, images=(leaked, *split.images[1:])) if split.name == pair[1] else split
        for split in fitted.evidence.splits
    )
    with pytest.raises(BundleError, match=f"image {leaked} is in the splits '{pair[0]}' and '{pair[1]}'"):
        recheck(fitted.manifest, replace(fitted.evidence, splits=splits))


@pytest.mark.parametrize(
    "changes",
    [{"max_drop": 0.005}, {"max_drop": 0.012}, {"p_value": 1e-12}, {"confidence": 0.999, "max_drop": 0.02}],
)
def test_a_claim_beyond_the_evidence_is_refused(fitted, changes):
    with pytest.raises(BundleError, match="says p = "):
        recheck(with_certificate(fitted.manifest, "int8", **changes), fitted.evidence)


@pytest.mark.parametrize("changes", [{"confidence": 0.99999}, {"max_drop": 1.0}])
def test_a_claim_that_no_test_takes_is_the_fault_of_the_bundle(fitted, changes):
    with pytest.raises(BundleError, match="cannot be tested"):
        recheck(with_certificate(fitted.manifest, "int8", **changes), fitted.evidence)


def test_a_certificate_of_another_metric_is_refused(fitted):
    with pytest.raises(BundleError, match="is of agreement, the evidence of top-1"):
        recheck(with_certificate(fitted.manifest, "int8", metric="agreement"), fitted.evidence)


def test_answers_that_are_not_there_are_refused(fitted):
    kept = tuple(
        trace for trace in fitted.evidence.traces if (trace.candidate, trace.split) != ("int8", "certification")
    )
    with pytest.raises(BundleError, match="the answers of 'int8' on 'certification' are not there"):
        recheck(fitted.manifest, replace(fitted.evidence, traces=kept))


def test_a_rung_without_a_certificate_cannot_pass_for_the_original(fitted):
    rungs = tuple(replace(rung, certificate=None) for rung in fitted.ladder.rungs)
    manifest = replace(fitted.manifest, ladder=replace(fitted.ladder, rungs=rungs))
    with pytest.raises(BundleError, match="rung 'fp16-weights' has no certificate"):
        recheck(manifest, fitted.evidence)


def test_a_shared_error_cannot_be_spent_twice(task, warm):
    """Without a margin each certificate bears half of the error; claiming the limit at all of it is refused."""
    fitted = fit(task.model, task.data, budget=Budget(), cache=warm)
    tighter = fit(task.model, task.data, budget=Budget(confidence=0.9), cache=warm)
    claimed = tighter.ladder.rung("int8").certificate
    assert claimed is not None and claimed.max_drop < fitted.ladder.rung("int8").certificate.max_drop
    forged = with_certificate(fitted.manifest, "int8", max_drop=claimed.max_drop, p_value=claimed.p_value)
    with pytest.raises(BundleError, match="says p = "):
        recheck(forged, fitted.evidence)


def test_a_bundle_whose_hashes_agree_but_whose_evidence_was_changed_is_refused(fitted, tmp_path, capsys):
    top = tuple(row[::-1] for row in fitted.evidence.trace("int8", "certification").top)
    path = tmp_path / "forged.shoe"
    repacked(fitted, with_trace(fitted.evidence, "int8", "certification", top)).save(path)
    with open_bundle(path):
        pass  # every hash agrees
    assert main(["inspect", str(path)]) == 4
    said = capsys.readouterr()
    assert said.out == "" and "certificate of 'int8' says" in said.err
