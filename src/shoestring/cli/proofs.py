"""Proofs on other instruction sets, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base.errors import MissingExtraError
from shoestring.domain.score import Paired

if TYPE_CHECKING:
    from shoestring.domain.score import AlsoChecked

CONFIDENCE = 0.95


def checked_words(rung: str, counts: AlsoChecked) -> tuple[str, ...]:
    """Two or three sentences about one proof."""
    how = f"emulated by {counts.emulator}" if counts.emulator else "on the board itself"
    differ = counts.n - counts.same
    there = f"{rung} was also checked on {counts.board}: {counts.core} with {', '.join(counts.isa)}, {how}"
    answers = f"{counts.same:,} of {counts.n:,} first answers are the workshop's{_bound(counts.n, differ)}"
    paired = counts.paired
    words = (
        f"on these images the original is right on {paired.original_hits:,}, the rung there on {paired.variant_hits:,}"
    )
    return there, answers, f"{words} (+{paired.wins} -{paired.losses})"


def _bound(n: int, differ: int) -> str:
    """`; at 95 % confidence at most 1.49 % differ`, or why that is not said."""
    from shoestring.evaluate.statistics import drop_upper

    try:
        most = drop_upper(Paired(n, n, n - differ, 0, differ), "agreement", CONFIDENCE)
    except MissingExtraError as error:
        return f" (how many differ at most is not computed here: {error.hint})"
    return f"; at {CONFIDENCE:.0%} confidence at most {100 * most:.2f} % of all differ"
