"""Counts are taken again from the answers; a bundle whose hashes are all right may still claim too much."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory import FEW_LABELS, BundleParts, count_pairs, make_bundle_parts, make_evidence, make_score, swap_blob
from shoestring.base import canonical
from shoestring.base.errors import BundleError
from shoestring.bundle import open_bundle, pack, recheck_counts
from shoestring.bundle.recheck import count
from shoestring.domain.evidence import Trace
from shoestring.domain.ladder import Rejected
from shoestring.domain.manifest import Manifest

PARTS = make_bundle_parts()


def _recheck(tmp_path: Path, manifest: Manifest, blobs: dict[str, bytes]) -> None:
    pack(tmp_path / "a.shoe", manifest, blobs)
    with open_bundle(tmp_path / "a.shoe") as bundle:
        recheck_counts(bundle)


def test_sound_counts_pass(tmp_path: Path) -> None:
    _recheck(tmp_path, PARTS.manifest, PARTS.blobs)


@pytest.mark.parametrize("labelled", [True, False])
def test_counting_agrees_with_the_definition(labelled: bool) -> None:
    evidence = make_evidence(3, labelled=labelled)
    for candidate in ("int8", "int8-float3", "fp32"):
        for split in ("selection", "certification"):
            assert count(evidence, candidate, split, evidence.metric) == count_pairs(evidence, candidate, split)
            if labelled:
                assert count(evidence, candidate, split, "top-5") == count_pairs(evidence, candidate, split, 5)


def _embellished(parts: BundleParts) -> Manifest:
    """Claims one more win of int8 on the certification split; the counts remain possible."""
    first = parts.manifest.ladder.rungs[0]
    assert first.certificate is not None
    paired = first.certificate.paired
    better = replace(paired, wins=paired.wins + 1, variant_hits=paired.variant_hits + 1)
    rung = replace(first, certificate=replace(first.certificate, paired=better))
    return replace(
        parts.manifest, ladder=replace(parts.manifest.ladder, rungs=(rung, *parts.manifest.ladder.rungs[1:]))
    )


def test_an_embellished_certificate_is_found(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="top-1 of 'int8' on 'certification': the answers give"):
        _recheck(tmp_path, _embellished(PARTS), PARTS.blobs)


def test_an_embellished_score_is_found(tmp_path: Path) -> None:
    rung = PARTS.manifest.ladder.rungs[1]
    paired = rung.candidate.score.paired
    hits = replace(paired, original_hits=paired.original_hits - 1, variant_hits=paired.variant_hits - 1)
    candidate = replace(rung.candidate, scores=(make_score(hits, "top-1"),))
    rungs = (PARTS.manifest.ladder.rungs[0], replace(rung, candidate=candidate), PARTS.manifest.ladder.rungs[2])
    manifest = replace(PARTS.manifest, ladder=replace(PARTS.manifest.ladder, rungs=rungs))
    with pytest.raises(BundleError, match="'int8-float3' on 'selection'"):
        _recheck(tmp_path, manifest, PARTS.blobs)


def _with_evidence(change: Any) -> tuple[Manifest, dict[str, bytes]]:
    plain = json.loads(PARTS.blobs[PARTS.manifest.evidence])
    change(plain)
    return swap_blob(PARTS, PARTS.manifest.evidence, canonical.encode(plain))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e["traces"].pop(0), "answers of 'original' on 'selection' are not there"),
        (lambda e: e["splits"][2].update(labels=None), "needs labels"),
        (lambda e: e["traces"][1]["top"][0].reverse(), "'int8' on 'selection'"),
        (lambda e: e["traces"][1]["top"].pop(), "29 answers of 'int8' on 'selection', 30 of 'original'"),
        (lambda e: e.update(metric="agreement"), "is of top-1, not of agreement"),
        (lambda e: e.update(extra=1), "unknown key 'extra'"),
        (lambda e: e.pop("seed"), "seed"),
    ],
)
def test_answers_that_do_not_bear_the_counts_are_found(tmp_path: Path, change: Any, words: str) -> None:
    manifest, blobs = _with_evidence(change)
    with pytest.raises(BundleError, match=words):
        _recheck(tmp_path, manifest, blobs)


def _with_rejected(seen: int, losses: int = 0) -> tuple[Manifest, dict[str, bytes]]:
    """`int8-short` was rejected after `seen` images, of which it is said to have lost this many more than it did."""
    rung = PARTS.manifest.ladder.rungs[1]
    evidence = PARTS.evidence
    top = evidence.trace(rung.name, "selection").top[:seen]
    recipe = replace(rung.candidate.recipe, name="int8-short")
    short = replace(evidence, traces=(*evidence.traces, Trace("int8-short", "selection", top)))
    manifest, blobs = swap_blob(PARTS, PARTS.manifest.evidence, canonical.encode(short))
    counts = count(short, "int8-short", "selection", "top-1", whole=False)
    claimed = replace(counts, losses=counts.losses + losses, variant_hits=counts.variant_hits - losses)
    candidate = replace(rung.candidate, recipe=recipe, scores=(make_score(claimed, "top-1"),))
    rejected = Rejected(candidate, f"certain after {seen} of 30 images")
    return replace(manifest, ladder=replace(manifest.ladder, rejected=(rejected,))), blobs


@pytest.mark.parametrize("seen", [1, 12, 30])
def test_the_score_of_a_rejected_candidate_is_of_the_images_it_answered(tmp_path: Path, seen: int) -> None:
    manifest, blobs = _with_rejected(seen)
    assert manifest.ladder.rejected[0].candidate.score.paired.n == seen
    _recheck(tmp_path, manifest, blobs)


def test_a_rejected_candidate_that_is_said_to_be_worse_than_it_was_is_found(tmp_path: Path) -> None:
    manifest, blobs = _with_rejected(12, losses=2)
    with pytest.raises(BundleError, match="top-1 of 'int8-short' on 'selection': the answers give"):
        _recheck(tmp_path, manifest, blobs)


def test_evidence_that_is_not_canonical_is_refused(tmp_path: Path) -> None:
    plain = json.loads(PARTS.blobs[PARTS.manifest.evidence])
    manifest, blobs = swap_blob(PARTS, PARTS.manifest.evidence, json.dumps(plain).encode())
    with pytest.raises(BundleError, match="canonical form"):
        _recheck(tmp_path, manifest, blobs)


def test_a_recheck_that_believes_the_hashes_would_miss_it(tmp_path: Path) -> None:
    """The saboteur: verification of hashes and rules alone accepts the embellished certificate."""
    pack(tmp_path / "a.shoe", _embellished(PARTS), PARTS.blobs)
    with open_bundle(tmp_path / "a.shoe") as bundle:
        assert bundle.manifest.labels == FEW_LABELS
        assert bundle.evidence() == PARTS.evidence
