"""Proofs on other instruction sets: sound ones pass, and each kind of untruth is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from factory import BundleParts, make_bundle_parts
from shoestring.base import canonical
from shoestring.base.errors import BundleError
from shoestring.bundle import open_bundle, pack, recheck_counts
from shoestring.bundle.proof_rules import also_of, checked
from shoestring.domain.evidence import Evidence
from shoestring.domain.manifest import Blob, Manifest
from shoestring.domain.proof import Proof

PARTS = make_bundle_parts()
PLACES = (0, 3, 4, 10, 59)


def make_proof(parts: BundleParts = PARTS, rung: str = "int8", differ: int = 1) -> Proof:
    """A proof on five images, where the first classes of the first `differ` are others than in the workshop."""
    candidate = parts.manifest.ladder.rung(rung).candidate
    top = [parts.evidence.trace(rung, "certification").top[place] for place in PLACES]
    for number in range(differ):
        top[number] = (top[number][1], top[number][0], *top[number][2:])
    return Proof(
        rung=rung,
        board="raspberry-pi-4b-4gb",
        core="Cortex-A72",
        isa=("asimd",),
        emulator="qemu-aarch64 7.2.22 as cortex-a72",
        system="glibc 2.36",
        runtime=candidate.runtime,
        runtime_version=candidate.runtime_version,
        artefact_sha256=candidate.artefact_sha256,
        places=PLACES,
        top=tuple(top),
    )


def with_proofs(*proofs: Proof, lie: bool = False) -> tuple[Manifest, dict[str, bytes], Evidence]:
    """The sound bundle with these proofs, and certificates that say what they say; or one win more."""
    evidence = replace(PARTS.evidence, proofs=proofs)
    body = canonical.encode(evidence)
    old = PARTS.manifest.evidence
    blobs = {name: data for name, data in PARTS.blobs.items() if name != old} | {canonical.sha256_hex(body): body}
    rungs = []
    for rung in PARTS.manifest.ladder.rungs:
        certificate = rung.certificate
        if certificate is not None:
            also = also_of(evidence, rung.name, certificate.metric)
            if lie and also:
                also = (replace(also[0], same=also[0].same + 1), *also[1:])
            certificate = replace(certificate, also=also)
        rungs.append(replace(rung, certificate=certificate))
    manifest = replace(
        PARTS.manifest,
        ladder=replace(PARTS.manifest.ladder, rungs=tuple(rungs)),
        evidence=canonical.sha256_hex(body),
        blobs=tuple(Blob(name, len(blobs[name])) for name in sorted(blobs)),
    )
    return manifest, blobs, evidence


def reopen(tmp_path: Path, manifest: Manifest, blobs: dict[str, bytes]) -> Evidence:
    pack(tmp_path / "a.shoe", manifest, blobs)
    with open_bundle(tmp_path / "a.shoe") as bundle:
        recheck_counts(bundle)
        return bundle.evidence()


def test_a_sound_proof_survives_packing_and_its_counts_are_right(tmp_path: Path) -> None:
    proof = make_proof(differ=2)
    evidence = reopen(tmp_path, *with_proofs(proof)[:2])
    assert evidence.proofs == (proof,)
    counts = checked(evidence, proof, "top-1")
    labels = evidence.split("certification").labels
    assert labels is not None
    original = evidence.trace("original", "certification").top
    assert (counts.n, counts.same) == (5, 3)
    assert counts.paired.original_hits == sum(original[p][0] == labels[p] for p in PLACES)
    assert counts.paired.variant_hits == sum(t[0] == labels[p] for p, t in zip(PLACES, proof.top, strict=True))


def test_evidence_without_proofs_is_written_as_before() -> None:
    assert b"proofs" not in canonical.encode(PARTS.evidence)
    assert b'"also"' not in canonical.encode(PARTS.manifest)


def test_a_certificate_that_says_more_than_the_proof_is_found(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"certificate of 'int8' was also checked on .* 5 of 5"):
        reopen(tmp_path, *with_proofs(make_proof(), lie=True)[:2])


def test_a_certificate_that_names_a_board_without_a_proof_is_found(tmp_path: Path) -> None:
    manifest, _, _ = with_proofs(make_proof())
    manifest = replace(manifest, evidence=PARTS.manifest.evidence, blobs=PARTS.manifest.blobs)
    with pytest.raises(BundleError, match="the proofs say nothing"):
        reopen(tmp_path, manifest, dict(PARTS.blobs))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"places": (0, 4, 3, 10, 59)}, "names image 3 of 60, or names it out of order"),
        ({"places": (0, 3, 4, 10, 60)}, "names image 60 of 60"),
        ({"places": (-1, 3, 4, 10, 59)}, "names image -1"),
        ({"places": (0, 0, 4, 10, 59)}, "names image 0 of 60, or names it out of order"),
        ({"places": (0, 3)}, "5 answers to 2 of 60"),
        ({"places": (), "top": ()}, "0 answers to 0"),
        ({"top": ((0, 0),) * 5}, "answers classes"),
        ({"top": ((),) * 5}, "answers classes"),
        ({"top": ((-1,),) * 5}, "answers classes"),
        ({"isa": ("b", "a")}, "out of order"),
        ({"isa": ("asimd\x1b",)}, "control characters"),
        ({"board": ""}, "empty name"),
        ({"rung": "unknown"}, "no answers of 'unknown'"),
        ({"rung": "fp32-of-nobody"}, "no answers"),
        ({"artefact_sha256": "0" * 64}, "the rung is"),
        ({"runtime": "another"}, "is of another with file"),
    ],
)
def test_an_unsound_proof_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    broken = replace(make_proof(), **change)  # type: ignore[arg-type]
    manifest, blobs, _ = with_proofs(make_proof())
    body = canonical.encode(replace(PARTS.evidence, proofs=(broken,)))
    blobs = {name: data for name, data in blobs.items() if name != manifest.evidence}
    blobs[canonical.sha256_hex(body)] = body
    listed = tuple(Blob(name, len(blobs[name])) for name in sorted(blobs))
    manifest = replace(manifest, evidence=canonical.sha256_hex(body), blobs=listed)
    with pytest.raises(BundleError, match=words):
        reopen(tmp_path, manifest, blobs)


def test_proofs_stand_in_order_and_once(tmp_path: Path) -> None:
    one, other = make_proof(), replace(make_proof(), board="raspberry-pi-5-8gb")
    reopen(tmp_path, *with_proofs(one, other)[:2])
    for proofs in ((other, one), (one, one)):
        with pytest.raises(BundleError, match="twice or out of order"):
            reopen(tmp_path, *with_proofs(*proofs)[:2])
    with pytest.raises(BundleError, match="empty list"):
        reopen(tmp_path, *with_proofs()[:2])
