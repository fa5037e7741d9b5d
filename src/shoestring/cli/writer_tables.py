"""The table of candidates of a model that writes, as fit, inspect and errors show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shoestring.base.units import format_bytes
from shoestring.cli.console import show_table

COLUMNS = (
    "",
    "candidate",
    "KL to the original",
    "same word",
    "perplexity",
    "writes",
    "reads",
    "threads",
    "memory",
    "size",
    "what is proven, or why not",
)
MARKS = {"chosen": "*", "rung": "+", "rejected": "-"}


def show_writers(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line a candidate: `*` the chosen rung, `+` a rung, `-` rejected."""
    shown = []
    for row in rows:
        about = "" if row["estimate"] is None else "~"
        shown.append(
            (
                MARKS[row["status"]],
                row["candidate"],
                f"{row['kl']:.4f} ({row['kl_low']:.4f}..{row['kl_high']:.4f})",
                f"{100 * row['agreement']:.1f} %",
                f"{row['perplexity']:.2f} ({row['perplexity'] / row['original_perplexity']:.3f}x)",
                f"{about}{row['decode_per_s']:.3g} tokens/s",
                f"{about}{row['prefill_per_s']:.3g} tokens/s",
                str(row["threads"]),
                about + format_bytes(row["memory_bytes"]),
                format_bytes(row["size_bytes"]),
                row["reason"],
            )
        )
    show_table(COLUMNS, shown, right=frozenset({2, 3, 4, 5, 6, 7, 8, 9}))
