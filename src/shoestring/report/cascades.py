"""The page's words and figures about a cascade."""

from __future__ import annotations

from shoestring.base.errors import BundleError
from shoestring.base.sureness import STEPS
from shoestring.bundle.cascade_recheck import check_cascade_counts
from shoestring.domain.cascade import Cascade, Stage
from shoestring.domain.evidence import Evidence
from shoestring.domain.score import is_agreement
from shoestring.report.words import confidence, listed, margin, milliseconds, percent

SURENESS = {
    "top-probability": "the probability of its best class",
    "margin": "the distance between the probabilities of its two best classes",
    "entropy": "one minus the entropy of its probabilities, as a part of the largest there can be",
    "logit-margin": "the logarithm of the odds between its two best classes",
}


def sureness_name(measure: str) -> str:
    """`margin` -> what it means; an unknown measure is its own name."""
    return SURENESS.get(measure, measure)


def threshold_words(threshold: int) -> str:
    """A level as a number: 8123 -> '0.8123'."""
    return f"{threshold / STEPS:.4g}"


def cascade_words(cascade: Cascade) -> str:
    """Who answers how much, what it costs and what is certified, in one sentence or two."""
    shares = listed(
        [f"{stage.rung} answers {percent(share)}" for stage, share in zip(cascade.stages, cascade.shares, strict=True)]
    )
    given = cascade.certificate
    loss = f"differs from the original on at most {100 * given.max_drop:.4g} % of images"
    if not is_agreement(given.metric):
        loss = f"loses at most {margin(given.max_drop)} of {given.metric} accuracy"
    return (
        f"{shares} of the images. An image takes {milliseconds(cascade.expected_ms)} on average and at most "
        f"{milliseconds(cascade.worst_ms)}; the whole {loss} (certified at {confidence(given.confidence)})."
    )


def stage_rows(cascade: Cascade) -> list[tuple[Stage, float]]:
    """Each stage with its share of the expected time."""
    rows, reaching = [], 1.0
    for stage, share in zip(cascade.stages, cascade.shares, strict=True):
        rows.append((stage, reaching * (stage.latency_ms + stage.overhead_ms) / cascade.expected_ms))
        reaching -= share
    return rows


def cascade_check(cascade: Cascade | None, evidence: Evidence) -> str:
    """Whether the stored answers give the counts on this page, run again by the rule of the device."""
    if cascade is None:
        return ""
    try:
        check_cascade_counts(evidence, cascade)
    except BundleError as error:
        return f"The counts could not be taken again from the stored answers: {error.message}."
    return "The cascade was run again over the stored answers for this page; shares and counts agree."
