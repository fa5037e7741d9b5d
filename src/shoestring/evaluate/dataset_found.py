"""What a reader of one data format finds, before labels are resolved and images hashed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.evaluate.dataset_source import Source


@dataclass(frozen=True)
class Found:
    """Images in the order they were found.

    Args:
        source: the images.
        labels: as written, one for each image; None when the data has none.
        classes: labels that count as classes even without an image (empty class folders).
        notes: what was left out, in words.
    """

    source: Source
    labels: tuple[str, ...] | None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def count_note(names: Sequence[str], what: str) -> tuple[str, ...]:
    """`3 files that are not images left out: a, b, c`, or nothing when there are none."""
    if not names:
        return ()
    return (f"{len(names)} {what}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}",)
