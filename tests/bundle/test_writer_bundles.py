"""Bundles of models that write text: sound ones pass, and every rule is broken once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from factory import make_bundle_parts
from shoestring.base import canonical
from shoestring.base.errors import BundleError
from shoestring.bundle import open_bundle, pack, recheck_counts
from shoestring.bundle.bom import with_bom
from shoestring.bundle.evidence_rules import check_evidence
from shoestring.bundle.rules import check_manifest
from shoestring.bundle.sizes import sizes
from text_bundles import RUNGS, make_writer_parts, with_evidence

PARTS = make_writer_parts()

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
    manifest, blobs = with_bom(PARTS.manifest, PARTS.evidence, PARTS.blobs)
    pack(tmp_path / "a.shoe", manifest, blobs)
    with open_bundle(tmp_path / "a.shoe") as bundle:
        assert bundle.manifest.generation == PARTS.manifest.generation
        recheck_counts(bundle)
        assert [size.what for size in sizes(bundle.manifest)][: len(RUNGS)] == list(RUNGS)


def test_a_classifier_is_written_as_before() -> None:
    parts = make_bundle_parts()
    for key in (b'"generation"', b'"divergence"', b'"blocks"', b'"kl_certificate"', b'"tokens"', b'"max_kl"'):
        assert key not in canonical.encode(parts.manifest)
        assert key not in canonical.encode(parts.evidence)


G = "generation"


def cascade(large: str, kept: float, told: str) -> dict[str, Any]:
    return {
        "small": RUNGS[0],
        "large": large,
        "measure": "mean-logprob",
        "threshold": -1.0,
        "kept": kept,
        "certificate": told,
    }


RUNG = ("ladder", "rungs", 0)
CANDIDATE = (*RUNG, "candidate")
TOLD = (*RUNG, "kl_certificate")
MANIFEST: list[tuple[Change, str]] = [
    (lambda m: m.pop(G), "not of one kind of text"),
    (put(G, "transformer", "layers", value=0), "layers is 0"),
    (put(G, "transformer", "vocabulary", value=-1), "vocabulary is -1"),
    (put(G, "transformer", "window", value=0), "window is 0"),
    (put(G, "transformer", "kv_heads", value=5), "5 heads of keys for 4"),
    (put(G, "transformer", "architecture", value="lla\nma"), "architecture"),
    (put(G, "context", value=0), "context is 0"),
    (put(G, "context", value=1 << 21), "context is 2097152"),
    (put(G, "cache_type", value="q2_k"), "cache type 'q2_k'"),
    (put(G, "prefill_threads", RUNGS[0], value=0), "threads that read the prompt"),
    (lambda m: m[G]["prefill_threads"].pop(RUNGS[0]), "threads that read the prompt"),
    (put(G, "speculation", value={RUNGS[0]: "guess"}), "speculation of"),
    (put(G, "speculation", value={RUNGS[0]: f"draft:{RUNGS[0]}"}), "speculation of"),
    (put(G, "speculation", value={"another": "ngram"}), "speculation of 'another'"),
    (
        put(G, "cascade", value=cascade(RUNGS[0], 0.5, "c")),
        "not two rungs",
    ),
    (
        put(G, "cascade", value=cascade(RUNGS[1], 1.5, "c")),
        "kept",
    ),
    (
        put(G, "cascade", value=cascade(RUNGS[1], 0.5, "")),
        "certificate is empty",
    ),
    (put("labels", value=["a"] * 301), "301 class names for 300"),
    (put("budget", "max_kl", value=0.0), "max_kl is 0.0"),
    (put("budget", "tokens_per_s", value=-1.0), "tokens_per_s is -1.0"),
    (lambda m: m["ladder"]["rungs"][0]["candidate"].pop("divergence"), "has a divergence and no scores"),
    (put(*CANDIDATE, "divergence", "blocks", value=0), "0 blocks"),
    (put(*CANDIDATE, "divergence", "kl_low", value=9.0), "a KL of"),
    (put(*CANDIDATE, "divergence", "kl", value=-0.1), "a KL of -0.1"),
    (put(*CANDIDATE, "divergence", "agreement_high", value=1.5), "agreement"),
    (put(*CANDIDATE, "divergence", "perplexity", value=0.5), "perplexity 0.5"),
    (put(*CANDIDATE, "divergence", "ratio_low", value=0.0), "perplexity"),
    (put(*CANDIDATE, "divergence", "confidence", value=1.5), "confidence"),
    (lambda m: m["ladder"]["rungs"][0]["candidate"]["cost"].pop("tokens"), "no cost of tokens"),
    (put(*CANDIDATE, "cost", "tokens", "rates", 0, "threads", value=3), "not at the same threads"),
    (put(*CANDIDATE, "cost", "tokens", "rates", 0, "decode_low", value=1e9), "tokens/s"),
    (put(*CANDIDATE, "cost", "tokens", "rates", 0, "prefill_per_s", value=0.0), "tokens/s"),
    (put(*CANDIDATE, "cost", "tokens", "rates", 0, "runs", value=0), "over 0 runs"),
    (put(*CANDIDATE, "cost", "tokens", "rates", 0, "prompt_tokens", value=0), "tokens/s"),
    (put(*CANDIDATE, "cost", "tokens", "memory", value=[]), "memory at"),
    (put(*CANDIDATE, "cost", "tokens", "memory", value=[[256, 5], [128, 6]]), "they must rise"),
    (put(*CANDIDATE, "cost", "tokens", "memory", 0, 1, value=-1), "memory at"),
    (put(*TOLD, "max_kl", value=0.0001), "under 0.0001 under a cap"),
    (put(*TOLD, "cap", value=0.1), "under a cap of 0.1"),
    (put(*TOLD, "mean", value=-0.1), "a mean of -0.1"),
    (put(*TOLD, "capped", value=61), "61 capped"),
    (put(*TOLD, "tokens", value=3), "60 blocks of 3 tokens"),
    (put(*TOLD, "p_value", value=1.5), "p_value"),
    (put(*TOLD, "confidence", value=-0.5), "confidence"),
    (put(*TOLD, "artefact_sha256", value="0" * 64), "not of this rung's"),
    (put(*TOLD, "runtime_version", value="1"), "was checked on"),
]


@pytest.mark.parametrize(("change", "words"), MANIFEST, ids=range(len(MANIFEST)))
def test_a_manifest_that_breaks_a_rule_is_refused(change: Change, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        check_manifest(changed(PARTS.manifest, change))


def test_certificates_do_not_change_places() -> None:
    images = make_bundle_parts()
    borrowed = json.loads(canonical.encode(images.manifest.ladder.rungs[0].certificate))
    with pytest.raises(BundleError, match="writes text, and has a certificate of top-1"):
        check_manifest(changed(PARTS.manifest, put(*RUNG, "certificate", value=borrowed)))
    lent = json.loads(canonical.encode(PARTS.manifest.ladder.rungs[0].kl_certificate))
    with pytest.raises(BundleError, match="writes no text, and has a certificate"):
        check_manifest(changed(images.manifest, put(*RUNG, "kl_certificate", value=lent)))
    with pytest.raises(BundleError, match="what only a bundle for text has"):
        given = json.loads(canonical.encode(PARTS.manifest.generation))
        check_manifest(changed(images.manifest, put(G, value=given)))


EVIDENCE: list[tuple[Change, str]] = [
    (lambda e: e["blocks"].append(e["blocks"][0]), "there twice"),
    (lambda e: e["blocks"][1]["kl"].pop(), "values for"),
    (put("blocks", 1, "split", value="nowhere"), "values for"),
    (put("blocks", 1, "kl", 0, value=-0.1), "KL -0.1"),
    (put("blocks", 1, "same", 0, value=-1), "-1 the same"),
    (put("blocks", 1, "same", 0, value=1000), "1000 the same"),
    (put("blocks", 1, "tokens", 0, value=0), "0 tokens"),
    (put("blocks", 1, "loss", 0, value=-1.0), "loss -1.0"),
]


@pytest.mark.parametrize(("change", "words"), EVIDENCE, ids=[words for _, words in EVIDENCE])
def test_evidence_that_breaks_a_rule_is_refused(change: Change, words: str) -> None:
    check_evidence(PARTS.evidence)
    with pytest.raises(BundleError, match=words):
        check_evidence(changed(PARTS.evidence, change))


def lying(change: Change) -> Any:
    """A manifest that says something else than its evidence, every hash mended."""
    return changed(PARTS.manifest, change)


CLAIMS: list[tuple[tuple[Any, ...], Any, str]] = [
    (("divergence", "kl"), 0.0722, "KL of"),
    (("divergence", "agreement"), 0.5, "agreement of"),
    (("divergence", "perplexity"), 24.0, "perplexity of"),
    (("divergence", "original_perplexity"), 22.0, "original perplexity of"),
    (("divergence", "blocks"), 19, "claims 19 blocks"),
]


@pytest.mark.parametrize(("path", "value", "words"), CLAIMS, ids=[words for *_, words in CLAIMS])
def test_a_changed_figure_is_seen(tmp_path: Path, path: tuple[Any, ...], value: Any, words: str) -> None:
    def change(plain: Any) -> None:
        found = plain["ladder"]["rungs"][0]["candidate"]["divergence"]
        found[path[1]] = value
        found["kl_low"], found["kl_high"] = 0.0, 1.0
        found["agreement_low"], found["agreement_high"] = 0.0, 1.0

    pack(tmp_path / "a.shoe", lying(change), PARTS.blobs)
    with open_bundle(tmp_path / "a.shoe") as bundle, pytest.raises(BundleError, match=words):
        recheck_counts(bundle)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put(*TOLD, "mean", value=0.01), "certified mean of"),
        (put(*TOLD, "blocks", value=61), "speaks of 61 blocks"),
        (put(*TOLD, "capped", value=1), "speaks of 60 blocks"),
        (put(*TOLD, "tokens", value=3_000), "speaks of 60 blocks"),
    ],
)
def test_a_changed_certificate_is_seen(tmp_path: Path, change: Change, words: str) -> None:
    pack(tmp_path / "a.shoe", lying(change), PARTS.blobs)
    with open_bundle(tmp_path / "a.shoe") as bundle, pytest.raises(BundleError, match=words):
        recheck_counts(bundle)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("blocks", 1, "kl", 0, value=3.0), "KL of"),
        (put("blocks", 0, "loss", 0, value=9.0), "original perplexity of"),
        (put("blocks", 1, "tokens", 0, value=70), "scored other tokens"),
        (lambda e: e["blocks"].pop(1), "are not there"),
        (lambda e: e["blocks"].pop(), "are not there"),
    ],
)
def test_changed_answers_are_seen(tmp_path: Path, change: Change, words: str) -> None:
    parts = with_evidence(PARTS, changed(PARTS.evidence, change))
    pack(tmp_path / "a.shoe", parts.manifest, parts.blobs)
    with open_bundle(tmp_path / "a.shoe") as bundle, pytest.raises(BundleError, match=words):
        recheck_counts(bundle)
