"""The table of candidates, as fit, inspect and errors show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shoestring.base.units import format_bytes, format_ms, format_points
from shoestring.cli.console import show_table

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
MARKS = {"chosen": "*", "rung": "+", "rejected": "-"}


def show_candidates(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a candidate: `*` the chosen rung, `+` a rung, `-` rejected."""
    shown = []
    for row in rows:
        shown.append(
            (
                MARKS[row["status"]],
                row["candidate"],
                f"{format_ms(row['latency_ms'])} ({row['latency_low_ms']:.3g}-{row['latency_high_ms']:.3g})",
                f"{row['speedup']:.2f}x",
                str(row["threads"]),
                format_bytes(row["memory_bytes"]),
                format_bytes(row["size_bytes"]),
                f"{100 * row['value']:.2f} %",
                f"{format_points(row['drop'])} ({100 * row['drop_low']:.2f}..{100 * row['drop_high']:.2f})",
                row["reason"],
            )
        )
    show_table(COLUMNS, shown, right=frozenset({2, 3, 4, 5, 6, 7, 8}))
