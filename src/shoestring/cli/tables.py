"""The table of candidates, as fit, inspect and errors show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shoestring.base.units import format_bytes, format_ms, format_points
from shoestring.cli.console import show_table

if TYPE_CHECKING:
    from shoestring.bundle.sizes import Size

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
