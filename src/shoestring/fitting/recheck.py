"""Recomputes certificates from the evidence in a bundle: nobody has to believe the manifest."""

from __future__ import annotations

from shoestring.base.errors import BundleError
from shoestring.domain.evidence import Evidence
from shoestring.domain.manifest import Manifest
from shoestring.evaluate.metrics import paired
from shoestring.evaluate.statistics import p_value
from shoestring.fitting.certify import NOT_CERTIFIED

SLACK = 1e-9  # relative; the same arithmetic on another processor may differ in the last digits


def recheck(manifest: Manifest, evidence: Evidence) -> int:
    """Count outcomes again from the traces and run the test again.

    Args:
        manifest: of a verified bundle.
        evidence: of the same bundle.

    Returns:
        How many certificates hold.

    Raises:
        BundleError: a split shares images with another, counts differ, or a p-value is not what the evidence gives.
    """
    check_disjoint(evidence)
    labels = evidence.split("certification").labels
    original = evidence.trace("original", "certification")
    checked, tested = 0, count_tested(manifest)
    for rung in manifest.ladder.rungs:
        certificate = rung.certificate
        if certificate is None:
            continue
        counts = paired(original.top, evidence.trace(rung.name, "certification").top, labels)
        if counts != certificate.paired:
            raise BundleError(f"certificate of {rung.name!r} says {certificate.paired}, its evidence says {counts}")
        error = (1 - certificate.confidence) / tested
        p = p_value(counts, certificate.max_drop, certificate.metric, 1 - error)
        if p > certificate.p_value * (1 + SLACK) + SLACK or p > error * (1 + SLACK):
            raise BundleError(f"certificate of {rung.name!r} says p = {certificate.p_value:.3g}, its evidence {p:.3g}")
        checked += 1
    return checked


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
