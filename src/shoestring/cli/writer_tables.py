"""The table of candidates of a model that writes, as fit, inspect and errors show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shoestring.base.units import format_bytes, format_count
from shoestring.cli.console import clean, show_table

if TYPE_CHECKING:
    from shoestring.domain.text import Generation

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


def show_generation(generation: Generation) -> None:
    """What the model is, and how it is served, in two lines."""
    net = generation.transformer
    tied = "tied to the embedding" if net.tied else "of its own"
    print(
        clean(
            f"task: text written by a {net.architecture} of {format_count(net.parameters)} parameters: {net.layers} "
            f"layers of width {net.width}, {net.heads} heads over {net.kv_heads} of keys, {net.vocabulary:,} tokens, "
            f"head {tied}"
        )
    )
    chat = "with a chat template" if generation.chat else "without a chat template"
    print(
        f"served: up to {generation.context:,} tokens of prompt and answer (trained for {net.context:,}), keys and "
        f"values in {generation.cache_type}, {chat}"
    )
    for name, way in generation.speculation.items():
        print(clean(f"speculation: {name} by {way}"))
    if generation.cascade is not None:
        found = generation.cascade
        print(
            clean(
                f"cascade: {found.small}, then {found.large} where {found.measure} is below {found.threshold:.4g} "
                f"({100 * found.kept:.0f} % stay); {found.certificate}"
            )
        )
