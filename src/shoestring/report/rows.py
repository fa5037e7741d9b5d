"""The candidates of a ladder as the page lists them: each with the timing and the role it is shown in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shoestring.base.errors import BundleError
from shoestring.domain.cost import Timing
from shoestring.domain.ladder import HOME_RUNTIME, Candidate, Ladder
from shoestring.domain.manifest import Manifest, student_name
from shoestring.domain.score import Certificate, Score


@dataclass(frozen=True)
class Row:
    """One candidate on the page.

    Args:
        candidate: the noun.
        timing: at the thread count that it is judged at.
        role: `chosen`, `rung`, `reference` (computes the original's own function) or `rejected`.
        certificate: of a rung; None for the reference and for what was rejected.
        reason: why it was rejected; None for a rung.
    """

    candidate: Candidate
    timing: Timing
    role: str
    certificate: Certificate | None
    reason: str | None

    @property
    def name(self) -> str:
        return self.candidate.name

    @property
    def score(self) -> Score:
        return self.candidate.score

    @property
    def about(self) -> str:
        """`~` before the figures of an estimate; nothing before what was measured."""
        return "" if self.candidate.cost.predicted is None else "~"

    @property
    def value_low(self) -> float:
        """Lower end of the metric: the original's value on the same images minus the upper end of the drop."""
        return max(0.0, self.score.original - self.score.drop_high)

    @property
    def value_high(self) -> float:
        """Upper end of the metric, likewise."""
        return min(1.0, self.score.original - self.score.drop_low)


@dataclass(frozen=True)
class Rows:
    """Everything that was tried, in the order of the page.

    Args:
        rungs: from cheapest to dearest.
        rejected: in the order of the manifest.
        chosen: the rung that the budget asks for.
        reference: the rung that computes the original's own function; None when it is not on the ladder.
    """

    rungs: tuple[Row, ...]
    rejected: tuple[Row, ...]
    chosen: Row
    reference: Row | None

    @property
    def baseline(self) -> Row | None:
        """What sizes are compared with: the reference, or else the rejected fp32 model, which computes the same."""
        rejected = (
            row
            for row in self.rejected
            if row.candidate.recipe.precision == "fp32"
            and row.candidate.runtime == HOME_RUNTIME
            and student_name(row.name) is None
        )
        return self.reference or next(rejected, None)

    @property
    def chip(self) -> str | None:
        """The chip that costs are estimates for; None where they were measured."""
        predicted = self.chosen.candidate.cost.predicted
        return None if predicted is None else predicted.chip

    @property
    def all(self) -> tuple[Row, ...]:
        return self.rungs + self.rejected


def rows_of(manifest: Manifest) -> Rows:
    """Arrange the ladder of `manifest` for the page.

    Raises:
        BundleError: the ladder names what it does not hold, or holds figures that no measurement gives.
    """
    ladder = manifest.ladder
    _check(ladder)
    rungs = tuple(
        Row(rung.candidate, rung.candidate.cost.at(rung.threads), _role(rung.name, ladder), rung.certificate, None)
        for rung in ladder.rungs
    )
    rejected = tuple(
        Row(item.candidate, _judged(item.candidate, manifest), "rejected", None, item.reason)
        for item in ladder.rejected
    )
    chosen = next(row for row in rungs if row.name == ladder.chosen)
    return Rows(rungs, rejected, chosen, next((row for row in rungs if row.certificate is None), None))


def _check(ladder: Ladder) -> None:
    """The page divides by these figures and takes their logarithm, so they have to be what they claim."""
    hint = "the bundle was not made by this project, or was changed; make it again"
    if ladder.chosen not in {rung.name for rung in ladder.rungs}:
        raise BundleError(f"the ladder's chosen rung {ladder.chosen!r} is not one of its rungs", hint=hint)
    for rung in ladder.rungs:
        if rung.threads not in {timing.threads for timing in rung.candidate.cost.timings}:
            raise BundleError(f"rung {rung.name!r} was not measured at its {rung.threads} threads", hint=hint)
        if rung.certificate is not None and rung.certificate.paired.n <= 0:
            raise BundleError(f"the certificate of rung {rung.name!r} rests on no image", hint=hint)
    for candidate in [rung.candidate for rung in ladder.rungs] + [item.candidate for item in ladder.rejected]:
        cost = candidate.cost
        times = [value for t in cost.timings for value in (t.median_ms, t.low_ms, t.high_ms)]
        ratios = [value for t in cost.timings for value in (t.ratio_to_original, t.ratio_low, t.ratio_high)]
        figures = [*times, *ratios, cost.size_bytes, cost.peak_rss_bytes]
        if not times or not all(value > 0 and math.isfinite(value) for value in figures):
            raise BundleError(f"the cost of {candidate.name!r} holds a figure that is not above zero", hint=hint)
        scores = candidate.scores
        if not scores or any(not (0 <= v <= 1) for score in scores for v in (score.value, score.original)):
            raise BundleError(f"a score of {candidate.name!r} is missing or outside 0..1", hint=hint)
        if any(score.paired.n <= 0 for score in scores):
            raise BundleError(f"a score of {candidate.name!r} rests on no image", hint=hint)


def _role(name: str, ladder: Ladder) -> str:
    if name == ladder.chosen:
        return "chosen"
    return "reference" if ladder.rung(name).certificate is None else "rung"


def _judged(candidate: Candidate, manifest: Manifest) -> Timing:
    """A rejected candidate has no thread count of its own: the budget's where it was measured, else its best."""
    threads = manifest.budget.threads
    measured = {timing.threads for timing in candidate.cost.timings}
    return candidate.cost.at(threads if threads in measured else None)
