"""Recomputes certificates and intervals of a model that writes from the evidence in its bundle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shoestring.base.errors import BundleError, DataError, UsageError
from shoestring.bundle.divergence_rules import CERTIFICATION, ORIGINAL, recheck_divergences
from shoestring.evaluate.language.betting import p_value
from shoestring.evaluate.language.bootstrap import divergence
from shoestring.fitting.language.choosing import NOT_CERTIFIED

if TYPE_CHECKING:
    from shoestring.domain.divergence import BlockTrace, KlCertificate
    from shoestring.domain.evidence import Evidence
    from shoestring.domain.ladder import Candidate, Rung
    from shoestring.domain.manifest import Manifest

SLACK = 1e-9  # relative; the same arithmetic on another processor may differ in the last digits
INTERVAL_SLACK = 1e-6  # likewise of intervals, whose quantiles lie between two draws


def recheck_writer(manifest: Manifest, evidence: Evidence) -> int:
    """Take figures, intervals and p-values again.

    Args:
        manifest: of a verified bundle of a model that writes.
        evidence: of the same bundle.

    Returns:
        How many certificates hold.

    Raises:
        BundleError: a figure or an interval is not what the evidence gives, a p-value is smaller than it gives or does
            not suffice, or a rung without a certificate is not the original's own file.
    """
    recheck_divergences(manifest.ladder, evidence)
    rungs = [rung.candidate for rung in manifest.ladder.rungs]
    for candidate in (*rungs, *(item.candidate for item in manifest.ladder.rejected)):
        _check_intervals(candidate, evidence)
    checked, tested = 0, count_tested(manifest)
    for rung in manifest.ladder.rungs:
        if rung.kl_certificate is not None:
            _check_certificate(rung, rung.kl_certificate, evidence, tested)
            checked += 1
        elif rung.candidate.artefact_sha256 != manifest.source_sha256 or _kl(rung) != 0:
            raise BundleError(f"rung {rung.name!r} has no certificate, and is not the original's own file")
    return checked


def count_tested(manifest: Manifest) -> int:
    """Among how many candidates the error is shared: one in a fixed order, all that were tested without a margin."""
    if manifest.budget.max_kl is not None:
        return 1
    certified = sum(rung.kl_certificate is not None for rung in manifest.ladder.rungs)
    return max(1, certified + sum(item.reason.startswith(NOT_CERTIFIED) for item in manifest.ladder.rejected))


def _check_certificate(rung: Rung, held: KlCertificate, evidence: Evidence, tested: int) -> None:
    where, error = f"certificate of {rung.name!r}", (1 - held.confidence) / tested
    try:
        p = p_value(trace_of(evidence, rung.name, CERTIFICATION).kl, held.max_kl, held.cap)
    except (UsageError, DataError) as failure:  # the claim came with the bundle, not from the user
        raise BundleError(f"{where} cannot be tested: {failure.message}") from failure
    if p > held.p_value * (1 + SLACK) + SLACK or p > error * (1 + SLACK):
        raise BundleError(
            f"{where} says p = {held.p_value:.3g}, its evidence {p:.3g}, and {error:.3g} is the most allowed"
        )


def _check_intervals(candidate: Candidate, evidence: Evidence) -> None:
    held = candidate.divergence
    if held is None:
        raise BundleError(f"candidate {candidate.name!r} has no divergence")
    original, trace = (trace_of(evidence, name, held.split) for name in (ORIGINAL, candidate.name))
    try:
        again = divergence(original, trace, confidence=held.confidence, seed=evidence.seed)
    except (UsageError, DataError) as failure:
        raise BundleError(f"the intervals of {candidate.name!r} cannot be taken again: {failure.message}") from failure
    for name in ("kl_low", "kl_high", "agreement_low", "agreement_high", "ratio_low", "ratio_high"):
        claimed, found = getattr(held, name), getattr(again, name)
        if not math.isclose(claimed, found, rel_tol=INTERVAL_SLACK, abs_tol=INTERVAL_SLACK):
            raise BundleError(f"{name} of {candidate.name!r} is {claimed}, the evidence gives {found}")


def trace_of(evidence: Evidence, candidate: str, split: str) -> BlockTrace:
    """A trace of the evidence. Raises BundleError when it is not there."""
    for trace in evidence.blocks or ():
        if (trace.candidate, trace.split) == (candidate, split):
            return trace
    raise BundleError(f"evidence: the blocks of {candidate!r} on {split!r} are not there")


def _kl(rung: Rung) -> float:
    return 0.0 if rung.candidate.divergence is None else rung.candidate.divergence.kl
