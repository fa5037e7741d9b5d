"""Scores, always paired with the original on the same inputs, and certificates."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoestring.base.canonical import WHEN_SET

AGREEMENT, DETECTION_AGREEMENT = "agreement", "detection-agreement"
"""Metrics without labels: the original's first class on an image; its objects (see `domain.detection.Rule`)."""
NEIGHBOUR_AGREEMENT = "neighbour-agreement"
"""Of embeddings: the original's nearest neighbour of a text, among texts that are fixed, is the variant's."""
KL = "kl"
"""Of models that write text; see `domain.divergence`. It is no metric of a Score."""
METRICS = ("top-1", "top-5", AGREEMENT, DETECTION_AGREEMENT, NEIGHBOUR_AGREEMENT)


def is_agreement(metric: str) -> bool:
    """Whether a metric compares with the original instead of labels, so that it can only fall."""
    return metric in (AGREEMENT, DETECTION_AGREEMENT, NEIGHBOUR_AGREEMENT)


@dataclass(frozen=True)
class Paired:
    """Counts over the same n inputs, for the original and a variant.

    With labels: `losses` = original right, variant wrong; `wins` = the other way round. Without labels every
    disagreement is a loss and wins are zero, since agreement can only fall.
    """

    n: int
    original_hits: int
    variant_hits: int
    wins: int
    losses: int

    @property
    def drop(self) -> float:
        """Observed fall of the metric: (losses - wins) / n."""
        return (self.losses - self.wins) / self.n


@dataclass(frozen=True)
class Score:
    """A metric with its interval.

    Args:
        metric: `top-1`, `top-5` (labels known), `agreement` (with the original's top-1) or `detection-agreement` (no
            confident object of the original lost, none invented).
        split: the split it was taken on.
        paired: the counts.
        value: the variant's metric, a fraction.
        original: the original's metric on the same inputs; 1.0 for agreement.
        drop_low: two-sided interval for the true drop, lower end.
        drop_high: upper end.
        confidence: of that interval.
    """

    metric: str
    split: str
    paired: Paired
    value: float
    original: float
    drop_low: float
    drop_high: float
    confidence: float


@dataclass(frozen=True)
class AlsoChecked:
    """What a proof says, in counts; a certificate names it, and it can be taken again from the proof.

    Args:
        board, core, isa, emulator, runtime_version: as in `domain.proof.Proof`.
        n: images.
        same: of them where the first class is that of the rung in the workshop.
        paired: the original in the workshop against the rung there, on these images, by the certificate's metric.
    """

    board: str
    core: str
    isa: tuple[str, ...]
    emulator: str
    runtime_version: str
    n: int
    same: int
    paired: Paired


@dataclass(frozen=True)
class Certificate:
    """At `confidence`, the true drop of `metric` is at most `max_drop` on data like the certification split.

    Args:
        metric: as in Score.
        max_drop: the certified margin, a fraction.
        confidence: for all certificates of the ladder together.
        method: the statistical method, with its source.
        paired: counts on the certification split.
        p_value: of "the drop is at least max_drop"; conservative.
        artefact_sha256: the file that was scored.
        runtime: that scored it.
        runtime_version: of that runtime.
        isa: of the machine that scored it.
        also: other instruction sets that it was checked on, as the evidence's proofs stand; None: none.
    """

    metric: str
    max_drop: float
    confidence: float
    method: str
    paired: Paired
    p_value: float
    artefact_sha256: str
    runtime: str
    runtime_version: str
    isa: tuple[str, ...]
    also: tuple[AlsoChecked, ...] | None = field(default=None, metadata=WHEN_SET)
