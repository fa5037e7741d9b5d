"""What a fit gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoestring.bundle import pack
from shoestring.domain.budget import Budget
from shoestring.domain.evidence import Evidence
from shoestring.domain.ladder import Candidate, Ladder, Rung
from shoestring.domain.manifest import Manifest
from shoestring.fitting.language.rows import writer_rows

STAGE_ONLY = "; runs in the cascade"
"""What is added to the reason against a candidate that is a stage."""


@dataclass(frozen=True)
class Fitted:
    """A proven ladder, ready to be stored.

    Args:
        manifest: the ladder with everything a device needs to know.
        evidence: everything its certificates rest on.
        blobs: content by hash: bytes, or the file that holds them.
        notes: what the user should know: data left out, how the model was normalised, what was proposed.
    """

    manifest: Manifest
    evidence: Evidence
    blobs: Mapping[str, bytes | Path]
    notes: tuple[str, ...]

    @property
    def ladder(self) -> Ladder:
        return self.manifest.ladder

    def save(self, path: Path | str) -> str:
        """Write the bundle, whole or not at all; returns its SHA-256. Raises StorageError."""
        return pack(Path(path), self.manifest, self.blobs)

    def rows(self) -> list[dict[str, Any]]:
        """One row a candidate, rungs first: see `row`."""
        return ladder_rows(self.ladder, self.manifest.budget)


def ladder_rows(ladder: Ladder, budget: Budget) -> list[dict[str, Any]]:
    """One row a candidate, rungs first: see `row`."""
    if ladder.rungs[0].candidate.divergence is not None:
        return writer_rows(ladder, budget)
    rungs = [
        row(rung.candidate, "chosen" if rung.name == ladder.chosen else "rung", rung_reason(rung), budget)
        for rung in ladder.rungs
    ]
    stages = {stage.rung for stage in ladder.cascade.stages} if ladder.cascade is not None else set()
    offered = [
        row(one.rung.candidate, "offered", f"not measured here, not certified: {one.why}", budget, one.rung.threads)
        for one in ladder.offered or ()
    ]
    return (
        rungs
        + offered
        + [
            row(item.candidate, "rejected", item.reason + (STAGE_ONLY if item.candidate.name in stages else ""), budget)
            for item in ladder.rejected
        ]
    )


def rung_reason(rung: Rung) -> str:
    """What is proven of a rung, in a few words."""
    if rung.certificate is None:
        return "the original's own function"
    certificate = rung.certificate
    return (
        f"{certificate.metric} drop at most {100 * certificate.max_drop:.2f} pt at {100 * certificate.confidence:g} %, "
        f"n = {certificate.paired.n:,}"
    )


def row(candidate: Candidate, status: str, reason: str, budget: Budget, threads: int | None = None) -> dict[str, Any]:
    """The figures of one candidate, as tables and --json show them; at `threads`, or those of the budget."""
    timing = candidate.cost.at(budget.threads if threads is None else threads)
    predicted = candidate.cost.predicted
    score = candidate.score
    return {
        "candidate": candidate.name,
        "status": status,
        "precision": candidate.recipe.precision,
        "runtime": candidate.runtime,
        "threads": timing.threads,
        "latency_ms": timing.median_ms,
        "latency_low_ms": timing.low_ms,
        "latency_high_ms": timing.high_ms,
        "speedup": 1 / timing.ratio_to_original,
        "memory_bytes": candidate.cost.peak_rss_bytes,
        "estimate": predicted,
        "size_bytes": candidate.cost.size_bytes,
        "metric": score.metric,
        "value": score.value,
        "drop": score.paired.drop,
        "drop_low": score.drop_low,
        "drop_high": score.drop_high,
        "reason": reason,
    }
