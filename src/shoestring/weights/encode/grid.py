"""Scales and offsets of a tensor as its block type can hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.weights.encode.nearest import levels_of
from shoestring.weights.encode.scale_search import signed_scales
from shoestring.weights.layouts import Blocks, Layout

if TYPE_CHECKING:
    from shoestring.weights.arrays import Bytes, Floats

_HALF = np.float32(65504)  # the largest number of 16 bits
_TINY = np.float32(1e-30)
_TRIED = np.linspace(-1.5, 1.5, 13, dtype=np.float32)  # places around the end of the whole scales


@dataclass
class Grid:
    """What the codes of a tensor are multiplied with; all of it can be stored. Those that refine it change it in place.

    Args:
        layout: of the block type.
        d: (rows, blocks), float32 that 16 bits hold.
        scales: (rows, blocks, groups), whole, or None where a block is one group.
        m: (rows, blocks) as d, or None without offsets.
        minimums: (rows, blocks, groups), whole, or None where m is added.
    """

    layout: Layout
    d: Floats
    scales: Floats | None = None
    m: Floats | None = None
    minimums: Floats | None = None

    @property
    def scale(self) -> Floats:
        """(rows, groups of the row)."""
        found = self.d if self.scales is None else (self.d[..., None] * self.scales)
        return found.reshape(len(self.d), -1)

    @property
    def offset(self) -> Floats | None:
        """(rows, groups of the row), or None."""
        if self.m is None:
            return None
        found = self.m if self.minimums is None else -(self.m[..., None] * self.minimums)
        return found.reshape(len(self.d), -1)

    def block_scale(self, block: int) -> Floats:
        """(rows, groups of one block)."""
        return self.d[:, block, None] if self.scales is None else self.d[:, block, None] * self.scales[:, block]

    def block_offset(self, block: int) -> Floats:
        """(rows, groups of one block); of a type with offsets."""
        if self.m is None:
            raise ValueError("a type without offsets")
        return self.m[:, block, None] if self.minimums is None else -self.m[:, block, None] * self.minimums[:, block]

    def pack(self, codes: Bytes) -> Bytes:
        """The bytes of the rows; `codes` is (rows, columns)."""
        rows = len(codes)
        whole = (-1, self.layout.groups)
        blocks = Blocks(
            codes.reshape(-1, self.layout.elements),
            self.d.astype(np.float16).reshape(-1),
            None if self.scales is None else self.scales.astype(np.int16).reshape(whole),
            None if self.m is None else self.m.astype(np.float16).reshape(-1),
            None if self.minimums is None else self.minimums.astype(np.int16).reshape(whole),
        )
        return self.layout.pack(blocks).reshape(rows, -1)


def half(values: Floats) -> Floats:
    """The nearest numbers that 16 bits hold, as float32."""
    return np.clip(values, -_HALF, _HALF).astype(np.float16).astype(np.float32)


def whole_scales(scale: Floats, weights: Floats, low: int, high: int) -> tuple[Floats, Floats]:
    """Scales of groups as d x whole number.

    Args:
        scale: (rows, blocks, groups).
        weights: what an error of each one costs, squared.
        low, high: the whole numbers that are stored.

    Returns:
        d, (rows, blocks), and the whole numbers, (rows, blocks, groups).
    """
    levels = levels_of(np.arange(low, high + 1, dtype=np.float32))
    end = low if low < 0 else high
    d = half(signed_scales(scale, np.maximum(weights, _TINY), levels, end + np.sign(end) * _TRIED))
    inverse = np.divide(1, d, out=np.zeros_like(d), where=np.abs(d) > _TINY)
    return d, np.clip(np.rint(scale * inverse[..., None]), low, high)
