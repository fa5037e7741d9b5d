"""The table of candidates, as fit, inspect and errors show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shoestring.base.sureness import STEPS
from shoestring.base.units import format_bytes, format_ms, format_points
from shoestring.cli.console import show_table
from shoestring.cli.writer_tables import show_writers

if TYPE_CHECKING:
    from shoestring.bundle.sizes import Size
    from shoestring.domain.evidence import Evidence
    from shoestring.domain.ladder import Ladder

COLUMNS = (
    "",
    "candidate",
    "latency",
    "speed-up",
    "threads",
    "memory",
    "size",
    "score",
    "drop",
    "what is proven, or why not",
)
MARKS = {"chosen": "*", "rung": "+", "offered": "?", "rejected": "-"}


def show_candidates(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a candidate: `*` the chosen rung, `+` a rung, `?` offered for an accelerator, `-` rejected."""
    if rows and "kl" in rows[0]:
        show_writers(rows)
        return
    shown = []
    for row in rows:
        shown.append(
            (
                MARKS[row["status"]],
                row["candidate"],
                _latency(row),
                f"{_about(row)}{row['speedup']:.2f}x",
                str(row["threads"]),
                _about(row) + format_bytes(row["memory_bytes"]),
                format_bytes(row["size_bytes"]),
                f"{100 * row['value']:.2f} %",
                f"{format_points(row['drop'])} ({100 * row['drop_low']:.2f}..{100 * row['drop_high']:.2f})",
                row["reason"],
            )
        )
    show_table(COLUMNS, shown, right=frozenset({2, 3, 4, 5, 6, 7, 8}))


def show_detections(evidence: Evidence) -> None:
    """One line a rung of a detector: objects lost and invented on the certification split; nothing for a classifier."""
    kept = evidence.detections
    if kept is None:
        return
    objects, images = sum(kept.confident), len(kept.confident)
    rows = [
        (
            one.candidate,
            f"{sum(not gone and not more for gone, more in zip(one.lost, one.invented, strict=True)):,} of {images:,}",
            f"{sum(one.lost):,}",
            f"{sum(one.invented):,}",
            f"{one.overlap:.3f}" if objects > sum(one.lost) else "-",
        )
        for one in kept.differences
    ]
    columns = (f"rung, on {objects:,} confident objects", "images alike", "lost", "invented", "mean overlap")
    show_table(columns, rows, right=frozenset({1, 2, 3, 4}))


def _about(row: Mapping[str, Any]) -> str:
    """`~` before an estimate, nothing before what was measured."""
    return "" if row.get("estimate") is None else "~"


def _latency(row: Mapping[str, Any]) -> str:
    """`12.3 ms (11.9-13)` as measured, `~12.3 ms (9.8-15.4, estimate)` as predicted."""
    between = f"{row['latency_low_ms']:.3g}-{row['latency_high_ms']:.3g}"
    said = "" if row.get("estimate") is None else ", estimate"
    return f"{_about(row)}{format_ms(row['latency_ms'])} ({between}{said})"


def show_sizes(files: Sequence[Size], bundle_bytes: int) -> None:
    """One line a file of a bundle, and their sum against the size of the bundle."""
    rows = [
        (file.what, format_bytes(file.size_bytes), format_bytes(file.stored_bytes), _share(file), file.form)
        for file in files
    ]
    content = sum(file.size_bytes for file in files)
    rows.append(("the bundle", format_bytes(content), format_bytes(bundle_bytes), f"{bundle_bytes / content:.0%}", ""))
    show_table(("file", "content", "stored", "", "how"), rows, right=frozenset({1, 2, 3}))


def _share(file: Size) -> str:
    return f"{file.stored_bytes / file.size_bytes:.0%}" if file.size_bytes else "-"


def cascade_figures(ladder: Ladder) -> dict[str, Any] | None:
    """The figures of the ladder's cascade, as --json shows them."""
    cascade = ladder.cascade
    if cascade is None:
        return None
    return {
        "measure": cascade.measure,
        "expected_ms": cascade.expected_ms,
        "observed_ms": cascade.observed_ms,
        "worst_ms": cascade.worst_ms,
        "certificate": cascade.certificate,
        "stages": [
            {
                "rung": stage.rung,
                "threshold": None if stage.threshold is None else stage.threshold / STEPS,
                "threads": stage.threads,
                "latency_ms": stage.latency_ms,
                "overhead_ms": stage.overhead_ms,
                "share_selection": seen,
                "share_certification": certified,
            }
            for stage, seen, certified in zip(cascade.stages, cascade.shares, cascade.shares_certification, strict=True)
        ],
    }


def show_cascade(ladder: Ladder) -> None:
    """One line a stage, and one for the whole; nothing without a cascade."""
    cascade = ladder.cascade
    if cascade is None:
        return
    rows = [
        (
            stage.rung,
            "answers the rest" if stage.threshold is None else f"{cascade.measure} >= {stage.threshold / STEPS:g}",
            format_ms(stage.latency_ms + stage.overhead_ms),
            f"{100 * seen:.1f} %",
            f"{100 * certified:.1f} %",
        )
        for stage, seen, certified in zip(cascade.stages, cascade.shares, cascade.shares_certification, strict=True)
    ]
    columns = ("stage of the cascade", "answers where", "takes", "share on selection", "on certification")
    show_table(columns, rows, right=frozenset({2, 3, 4}))
    given = cascade.certificate
    print(
        f"cascade: {format_ms(cascade.expected_ms)} an image on average ({format_ms(cascade.observed_ms)} on the "
        f"certification split), at most {format_ms(cascade.worst_ms)}; {given.metric} drop at most "
        f"{format_points(given.max_drop)} at {100 * given.confidence:g} %, n = {given.paired.n:,}"
    )
