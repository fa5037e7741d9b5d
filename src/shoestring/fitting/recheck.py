"""Recomputes certificates from the evidence in a bundle: nobody has to believe the manifest."""

from __future__ import annotations

from shoestring.base.errors import BundleError, DataError, UsageError
from shoestring.bundle.cascade_recheck import check_cascade_counts
from shoestring.bundle.detection_rules import recheck_detections
from shoestring.bundle.proof_rules import recheck_proofs
from shoestring.bundle.recheck import CERTIFICATION, count, recheck_scores
from shoestring.compress.candidates import REFERENCE
from shoestring.domain.evidence import Evidence
from shoestring.domain.ladder import Rung
from shoestring.domain.manifest import Manifest
from shoestring.domain.score import Certificate
from shoestring.evaluate.statistics import p_value
from shoestring.fitting.certify import NOT_CERTIFIED
from shoestring.fitting.language.recheck import recheck_writer

SLACK = 1e-9  # relative; the same arithmetic on another processor may differ in the last digits


def recheck(manifest: Manifest, evidence: Evidence) -> int:
    """Count outcomes again from the traces and run the test again.

    Args:
        manifest: of a verified bundle.
        evidence: of the same bundle.

    Returns:
        How many certificates hold.

    Raises:
        BundleError: a split shares images with another, counts of a certificate or a score differ, a p-value is not
            what the evidence gives, proofs on other instruction sets are not what a certificate says of them, or a rung
            that is not the reference has no certificate.
    """
    check_disjoint(evidence)
    if manifest.generation is not None:
        return recheck_writer(manifest, evidence)
    checked, tested = 0, count_tested(manifest)
    for rung in manifest.ladder.rungs:
        if rung.certificate is not None:
            check_certificate(rung, rung.certificate, evidence, tested)
            checked += 1
        elif rung.name != REFERENCE:
            raise BundleError(f"rung {rung.name!r} has no certificate, and is not {REFERENCE!r}, which needs none")
    cascade = manifest.ladder.cascade
    if cascade is not None:
        check_cascade_counts(evidence, cascade)
        if manifest.budget.max_drop is None:
            raise BundleError("there is a cascade without a margin that its thresholds were learnt for")
        check_p_value("certificate of the cascade", cascade.certificate, 1)
        checked += 1
    recheck_detections(manifest, evidence)
    recheck_scores(manifest.ladder, evidence)
    recheck_proofs(manifest.ladder, evidence)
    return checked


def check_certificate(rung: Rung, certificate: Certificate, evidence: Evidence, tested: int) -> None:
    """Raises BundleError unless the evidence gives the certificate's counts and p-value, and they suffice."""
    where = f"certificate of {rung.name!r}"
    if certificate.metric != evidence.metric:
        raise BundleError(f"{where} is of {certificate.metric}, the evidence of {evidence.metric}")
    counts = count(evidence, rung.name, CERTIFICATION, certificate.metric)
    if counts != certificate.paired:
        raise BundleError(f"{where} says {certificate.paired}, its evidence says {counts}")
    check_p_value(where, certificate, tested)


def check_p_value(where: str, certificate: Certificate, tested: int) -> None:
    """Raises BundleError unless the certificate's own counts give its p-value, and it suffices."""
    error = (1 - certificate.confidence) / tested
    try:
        p = p_value(certificate.paired, certificate.max_drop, certificate.metric, 1 - error)
    except (UsageError, DataError) as failure:  # the claim came with the bundle, not from the user
        raise BundleError(f"{where} cannot be tested: {failure.message}") from failure
    if p > certificate.p_value * (1 + SLACK) + SLACK or p > error * (1 + SLACK):
        raise BundleError(
            f"{where} says p = {certificate.p_value:.3g}, its evidence {p:.3g}, and {error:.3g} is the most allowed"
        )


def count_tested(manifest: Manifest) -> int:
    """Among how many candidates the error is shared.

    With a margin they were tested in a fixed order, each at the full error; without one each bears an equal share (see
    `evaluate.statistics.certify`).
    """
    if manifest.budget.max_drop is not None:
        return 1
    certified = sum(rung.certificate is not None for rung in manifest.ladder.rungs)
    return max(1, certified + sum(item.reason.startswith(NOT_CERTIFIED) for item in manifest.ladder.rejected))


def check_disjoint(evidence: Evidence) -> None:
    """Raises BundleError when an image is in two splits."""
    seen: dict[str, str] = {}
    for split in evidence.splits:
        for image in split.images:
            if image in seen:
                raise BundleError(f"image {image} is in the splits {seen[image]!r} and {split.name!r}")
            seen[image] = split.name
