"""Scales and bases of all groups turned over, (groups, rows), so that a column of all rows is rounded at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.weights.encode.fit import levels_for

if TYPE_CHECKING:
    from shoestring.weights.arrays import Bytes, Floats
    from shoestring.weights.encode.grid import Grid


class Steps:
    """What a column of a group is rounded with.

    Args:
        grid: of the tensor; `renew` reads it again.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.levels = levels_for(grid.layout)
        self.group = grid.layout.group
        self.renew()

    def renew(self, block: int | None = None) -> None:
        """Read the grid again, of one block or of all."""
        grid = self._grid
        if block is None:
            offset = grid.offset
            self.scale = np.ascontiguousarray(grid.scale.T)
            self.offset = None if offset is None else np.ascontiguousarray(offset.T)
            self._inverse = _inverse(self.scale)
            return
        where = slice(block * grid.layout.groups, (block + 1) * grid.layout.groups)
        self.scale[where] = grid.block_scale(block).T
        self._inverse[where] = _inverse(self.scale[where])
        if self.offset is not None:
            self.offset[where] = grid.block_offset(block).T

    def round(self, column: int, wanted: Floats) -> tuple[Bytes, Floats]:
        """Codes and values nearest to what is wanted of one column, (rows,)."""
        place = column // self.group
        scaled = wanted if self.offset is None else wanted - self.offset[place]
        codes = self.levels.codes(scaled * self._inverse[place])
        return codes, self.values(place, codes)

    def values(self, place: int, codes: Bytes) -> Floats:
        """What codes of a group stand for; `codes` is (rows,) or (columns, rows)."""
        values = self.levels.values[codes]
        values *= self.scale[place]
        if self.offset is not None:
            values += self.offset[place]
        return values


def _inverse(scale: Floats) -> Floats:
    return np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
