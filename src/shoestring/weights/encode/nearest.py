"""The nearest level of a block type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shoestring.weights.arrays import Array, Bytes, Floats

_PER_UNIT = 2  # cells of the table in a unit: half-way points between whole levels lie on their borders


@dataclass(frozen=True)
class Levels:
    """The values that codes stand for.

    Args:
        values: (codes,), rising whole numbers.
        first: the lowest code that is written.
        table: nearest code by cell, for levels that are not evenly spaced; else None.
    """

    values: Floats
    first: int
    table: Bytes | None

    @property
    def lowest(self) -> float:
        """The value of code 0."""
        return float(self.values[0])

    @property
    def last(self) -> int:
        """The highest code."""
        return len(self.values) - 1

    def codes(self, scaled: Floats) -> Bytes:
        """The nearest codes.

        Args:
            scaled: values divided by their scale; is overwritten.
        """
        if self.table is None:
            scaled -= np.float32(self.lowest)
            np.rint(scaled, out=scaled)
            np.maximum(scaled, np.float32(self.first), out=scaled)
            np.minimum(scaled, np.float32(self.last), out=scaled)
            return scaled.astype(np.uint8)
        return self.table[self._cells(scaled)]

    def nearest(self, scaled: Floats) -> Floats:
        """The nearest levels; `scaled` is overwritten where levels are evenly spaced, and then returned."""
        if self.table is None:
            np.rint(scaled, out=scaled)
            np.maximum(scaled, np.float32(self.lowest + self.first), out=scaled)
            np.minimum(scaled, self.values[-1], out=scaled)
            return scaled
        found: Floats = self.values[self.codes(scaled)]
        return found

    def _cells(self, scaled: Floats) -> Array:
        scaled *= np.float32(_PER_UNIT)
        scaled -= np.float32(_PER_UNIT * self.lowest)
        np.floor(scaled, out=scaled)
        np.maximum(scaled, np.float32(0), out=scaled)
        np.minimum(scaled, np.float32(_PER_UNIT * (self.values[-1] - self.lowest)), out=scaled)
        return scaled.astype(np.int16)


def levels_of(values: Floats, first: int = 0) -> Levels:
    """Levels of those values, with a table where they are not evenly spaced."""
    if np.array_equal(np.diff(values), np.ones(len(values) - 1)):
        return Levels(values, first, None)
    borders = (values[1:] + values[:-1]) / 2
    cells = values[0] + np.arange(int(_PER_UNIT * (values[-1] - values[0])) + 1) / _PER_UNIT
    return Levels(values, first, np.searchsorted(borders, cells, side="right").astype(np.uint8))
