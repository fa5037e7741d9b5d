"""Proofs on other instruction sets: what evidence must keep of them, and what certificates may say of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.bundle.refusal import refuse
from shoestring.domain.evidence import Evidence, Split, Trace
from shoestring.domain.score import AlsoChecked

if TYPE_CHECKING:
    from shoestring.domain.ladder import Ladder, Rung
    from shoestring.domain.proof import Proof

CERTIFICATION = "certification"
ORIGINAL = "original"
MAX_TOP = 5


def check_proofs(evidence: Evidence) -> None:
    """Hold the proofs of evidence against their rules.

    Raises:
        BundleError: an empty list, two of one rung and board, places outside the split or out of order, answers that
            are none, or words that are not printable.
    """
    if evidence.proofs is None:
        return
    if not evidence.proofs:
        raise refuse("evidence: an empty list of proofs, where there should be none")
    before = ("", "")
    for proof in evidence.proofs:
        key = (proof.rung, proof.board)
        if key <= before:
            raise refuse(f"evidence: the proof of {proof.rung!r} on {proof.board!r} is there twice or out of order")
        before = key
        _check_proof(evidence, proof)


def _check_proof(evidence: Evidence, proof: Proof) -> None:
    where = f"evidence: the proof of {proof.rung!r} on {proof.board!r}"
    words = (proof.rung, proof.board, proof.core, proof.system, proof.runtime, proof.runtime_version, *proof.isa)
    if not all(words) or not all(text.isprintable() for text in (*words, proof.emulator)):
        raise refuse(f"{where} has an empty name, or one with control characters")
    if list(proof.isa) != sorted(set(proof.isa)):
        raise refuse(f"{where} names the instruction sets {', '.join(proof.isa)} out of order")
    images = len(_split(evidence).images)
    if not 1 <= len(proof.places) <= images or len(proof.top) != len(proof.places):
        raise refuse(f"{where} has {len(proof.top)} answers to {len(proof.places)} of {images} images")
    before = -1
    for place in proof.places:
        if not before < place < images:
            raise refuse(f"{where} names image {place} of {images}, or names it out of order")
        before = place
    for answer in proof.top:
        if not 1 <= len(answer) <= MAX_TOP or min(answer) < 0 or len(set(answer)) != len(answer):
            raise refuse(f"{where} answers classes {answer[: MAX_TOP + 1]}")
    if len(_trace(evidence, proof.rung).top) != images:
        raise refuse(f"{where} has nothing to be held against")


def checked(evidence: Evidence, proof: Proof, metric: str) -> AlsoChecked:
    """What a proof says in counts.

    Args:
        evidence: that holds it.
        proof: one of its proofs.
        metric: of the certificate, or of the evidence.

    Raises:
        BundleError: the evidence lacks the answers or the labels.
    """
    from shoestring.bundle.recheck import count

    split, here, before = _split(evidence), _trace(evidence, proof.rung).top, _trace(evidence, ORIGINAL).top
    part = Split(
        CERTIFICATION,
        tuple(split.images[place] for place in proof.places),
        None if split.labels is None else tuple(split.labels[place] for place in proof.places),
    )
    traces = (
        Trace(ORIGINAL, CERTIFICATION, tuple(before[place] for place in proof.places)),
        Trace(proof.rung, CERTIFICATION, proof.top),
    )
    paired = count(replace(evidence, splits=(part,), traces=traces), proof.rung, CERTIFICATION, metric)
    same = sum(here[place][0] == there[0] for place, there in zip(proof.places, proof.top, strict=True))
    return AlsoChecked(
        proof.board, proof.core, proof.isa, proof.emulator, proof.runtime_version, len(proof.places), same, paired
    )


def also_of(evidence: Evidence, rung: str, metric: str) -> tuple[AlsoChecked, ...] | None:
    """What the certificate of a rung must say of its proofs; None where there are none."""
    found = tuple(checked(evidence, proof, metric) for proof in evidence.proofs or () if proof.rung == rung)
    return found or None


def recheck_proofs(ladder: Ladder, evidence: Evidence) -> None:
    """Hold what certificates say of proofs against the proofs, and the proofs against the rungs.

    Raises:
        BundleError: a count differs, a proof is of no rung, or of another file or runtime than the rung's.
    """
    rungs = {rung.name: rung for rung in ladder.rungs}
    for proof in evidence.proofs or ():
        if proof.rung not in rungs:
            raise refuse(f"evidence: there is a proof of {proof.rung!r}, which is no rung")
        _check_same(rungs[proof.rung], proof)
    for rung in ladder.rungs:
        if rung.certificate is not None:
            wanted = also_of(evidence, rung.name, rung.certificate.metric)
            if rung.certificate.also != wanted:
                said = f"the certificate of {rung.name!r} was also checked on {_words(rung.certificate.also)}"
                raise refuse(f"{said}, it says; the proofs say {_words(wanted)}")


def _check_same(rung: Rung, proof: Proof) -> None:
    candidate = rung.candidate
    ours = (candidate.runtime, candidate.artefact_sha256)
    if (proof.runtime, proof.artefact_sha256) != ours:
        raise refuse(
            f"evidence: the proof of {rung.name!r} on {proof.board!r} is of {proof.runtime} with file "
            f"{proof.artefact_sha256}, the rung is {ours[0]} with {ours[1]}"
        )


def _split(evidence: Evidence) -> Split:
    try:
        return evidence.split(CERTIFICATION)
    except KeyError:
        raise refuse(f"evidence: there are proofs, and no split {CERTIFICATION!r}") from None


def _trace(evidence: Evidence, candidate: str) -> Trace:
    try:
        return evidence.trace(candidate, CERTIFICATION)
    except KeyError:
        raise refuse(f"evidence: there are proofs, and no answers of {candidate!r} on {CERTIFICATION!r}") from None


def _words(also: tuple[AlsoChecked, ...] | None) -> str:
    return "; ".join(f"{one.board}: {one.same} of {one.n} the same, {one.paired}" for one in also or ()) or "nothing"


__all__ = ["also_of", "check_proofs", "checked", "recheck_proofs"]
