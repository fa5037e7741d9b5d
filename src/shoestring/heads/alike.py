"""Whether a variant of a detector sees what the original sees: no confident object lost, none invented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.domain.detection import Rule
from shoestring.heads.found import overlaps

if TYPE_CHECKING:
    from shoestring.heads.found import Floats, Found


DEFAULT_RULE = Rule()


@dataclass(frozen=True)
class Compared:
    """What differs between two lists of boxes of one picture.

    Args:
        confident: objects of the original.
        lost: of them, without a box of the variant.
        invented: confident objects of the variant, without a box of the original.
        overlap: sum over the confident objects of the original that were not lost of the intersection over union.
    """

    confident: int
    lost: int
    invented: int
    overlap: float

    @property
    def alike(self) -> bool:
        return self.lost == 0 and self.invented == 0


def compare(original: Found, variant: Found, rule: Rule = DEFAULT_RULE) -> Compared:
    """Match confident boxes one to one with boxes of the same class on the other side, and count who is left over.

    Where a matching holds every confident box of the original, and another every confident box of the variant, there
    is one that holds both (Mendelsohn and Dulmage, "Some generalizations of the problem of distinct representatives",
    1958), so that the two sides may be asked apart.

    Args:
        original: boxes from `rule.seen` on, after suppression.
        variant: likewise, of the same picture.
        rule: what counts.
    """
    fits = overlaps(original.corners, variant.corners)
    same = original.classes[:, None] == variant.classes[None, :]
    seen = (original.scores >= rule.seen)[:, None] & (variant.scores >= rule.seen)[None, :]
    fits = np.where(same & seen & (fits >= rule.overlap), fits, 0.0)
    ours = np.flatnonzero(original.scores >= rule.sure)
    theirs = np.flatnonzero(variant.scores >= rule.sure)
    kept = matched(fits[ours])
    return Compared(
        confident=len(ours),
        lost=len(ours) - len(kept),
        invented=len(theirs) - len(matched(fits.T[theirs])),
        overlap=float(sum(fits[ours[row], column] for row, column in sorted(kept.items()))),
    )


def matched(fits: Floats) -> dict[int, int]:
    """A largest one-to-one matching of rows with columns where `fits` is above zero; the best fits are tried first.

    Augmenting paths: Kuhn, "The Hungarian method for the assignment problem", 1955; pictures hold tens of boxes.

    Args:
        fits: (rows, columns), zero where a pair may not be.

    Returns:
        Column of each matched row.
    """
    choices = [[int(column) for column in np.argsort(-row, kind="stable") if row[column] > 0] for row in fits]
    owner: dict[int, int] = {}
    for start in range(len(choices)):
        _augment(start, choices, owner)
    return {row: column for column, row in owner.items()}


def _augment(start: int, choices: list[list[int]], owner: dict[int, int]) -> None:
    """Give `start` a column, moving others along the shortest chain that ends at a free one; else change nothing."""
    came: dict[int, int] = {}  # column -> row that asked for it
    asked = [start]
    for row in asked:
        for column in choices[row]:
            if column in came:
                continue
            came[column] = row
            if column in owner:
                asked.append(owner[column])
                continue
            before = {row: column for column, row in owner.items()}
            free: int | None = column
            while free is not None:  # back along the chain, each row takes the column that it asked for
                taker = came[free]
                owner[free] = taker
                free = before.get(taker)
            return
