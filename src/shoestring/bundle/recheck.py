"""Take the counts of scores and certificates again from the stored answers.

Hashes prove that a bundle is whole, not that its numbers are right. Counts are whole numbers and can be recomputed
without any library; p-values and intervals need the workshop's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.bundle.cascade_recheck import check_cascade_counts
from shoestring.bundle.detection_rules import recheck_detections
from shoestring.bundle.divergence_rules import recheck_divergences
from shoestring.bundle.proof_rules import recheck_proofs
from shoestring.bundle.refusal import refuse
from shoestring.domain.score import Paired, is_agreement

if TYPE_CHECKING:
    from shoestring.bundle.opening import Bundle
    from shoestring.domain.evidence import Evidence, Trace
    from shoestring.domain.ladder import Ladder

ORIGINAL = "original"
CERTIFICATION = "certification"
_DEPTH = {"top-1": 1, "top-5": 5}


def recheck_counts(bundle: Bundle) -> None:
    """Hold scores, certificates and proofs of rungs, rejected candidates and the cascade against the evidence, and the
    bill of materials against all of it.

    Raises:
        BundleError: a count differs, or the answers it rests on are not in the evidence.
    """
    evidence = bundle.evidence()
    recheck_detections(bundle.manifest, evidence)
    if bundle.manifest.generation is not None:
        recheck_divergences(bundle.manifest.ladder, evidence)
    recheck_scores(bundle.manifest.ladder, evidence)
    for rung in bundle.manifest.ladder.rungs:
        if rung.certificate is not None:
            certificate = rung.certificate
            if certificate.metric != evidence.metric:
                raise refuse(f"the certificate of {rung.name!r} is of {certificate.metric}, not of {evidence.metric}")
            _compare(evidence, rung.name, CERTIFICATION, certificate.metric, certificate.paired)
    recheck_proofs(bundle.manifest.ladder, evidence)
    if bundle.manifest.ladder.cascade is not None:
        check_cascade_counts(evidence, bundle.manifest.ladder.cascade)
    bundle.bom(evidence)


def recheck_scores(ladder: Ladder, evidence: Evidence) -> None:
    """Hold the scores of all candidates against the evidence; those of rungs are of every image.

    Raises:
        BundleError: a count differs, or the answers it rests on are not in the evidence.
    """
    for rung in (*ladder.rungs, *(one.rung for one in ladder.offered or ())):
        for score in rung.candidate.scores:
            _compare(evidence, rung.name, score.split, score.metric, score.paired)
    for rejected in ladder.rejected:
        for score in rejected.candidate.scores:
            _compare(evidence, rejected.candidate.name, score.split, score.metric, score.paired, whole=False)


def _compare(
    evidence: Evidence, candidate: str, split: str, metric: str, claimed: Paired, *, whole: bool = True
) -> None:
    found = count(evidence, candidate, split, metric, whole=whole)
    if found != claimed:
        raise refuse(f"{metric} of {candidate!r} on {split!r}: the answers give {_words(found)}, not {_words(claimed)}")


def count(evidence: Evidence, candidate: str, split: str, metric: str, *, whole: bool = True) -> Paired:
    """Paired counts by the definition of `domain.score.Paired`.

    Args:
        evidence: checked.
        candidate: a variant's name.
        split: where to count.
        metric: one of `domain.score.METRICS`.
        whole: the candidate must have answered every image; else only the first ones, which are counted.

    Raises:
        BundleError: the evidence lacks the answers or the labels, or the split is empty.
    """
    original, variant = _trace(evidence, ORIGINAL, split).top, _trace(evidence, candidate, split).top
    labels, n = evidence.split(split).labels, len(variant)
    if n == 0 or not original:
        raise refuse(f"evidence: split {split!r} has no images")
    if n > len(original) or (whole and n != len(original)):
        raise refuse(f"evidence: {n} answers of {candidate!r} on {split!r}, {len(original)} of {ORIGINAL!r}")
    original = original[:n]
    if is_agreement(metric):
        same = sum(one[0] == other[0] for one, other in zip(original, variant, strict=True))
        return Paired(n=n, original_hits=n, variant_hits=same, wins=0, losses=n - same)
    if labels is None:
        raise refuse(f"evidence: {metric} of {candidate!r} needs labels, and {split!r} has none")
    depth = _DEPTH[metric]
    before = [label in answer[:depth] for label, answer in zip(labels, original, strict=False)]
    after = [label in answer[:depth] for label, answer in zip(labels, variant, strict=False)]
    wins = sum(hit and not was for was, hit in zip(before, after, strict=True))
    losses = sum(was and not hit for was, hit in zip(before, after, strict=True))
    return Paired(n=n, original_hits=sum(before), variant_hits=sum(after), wins=wins, losses=losses)


def _trace(evidence: Evidence, candidate: str, split: str) -> Trace:
    try:
        return evidence.trace(candidate, split)
    except KeyError:
        raise refuse(f"evidence: the answers of {candidate!r} on {split!r} are not there") from None


def _words(paired: Paired) -> str:
    return f"{paired.variant_hits} of {paired.n} against {paired.original_hits}, +{paired.wins} -{paired.losses}"
