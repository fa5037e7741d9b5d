"""The grid of a tensor by the importance of its columns: scales of groups, then as the block type can hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.weights.encode.grid import Grid, half, whole_scales
from shoestring.weights.encode.nearest import Levels, levels_of
from shoestring.weights.encode.scale_search import affine_steps, signed_scales

if TYPE_CHECKING:
    from shoestring.weights.arrays import Bytes, Floats
    from shoestring.weights.layouts import Layout

_FINE = 65  # levels from which on a few places are tried: there is little left to win
_PLACES = np.linspace(-0.9, 0.9, 13, dtype=np.float32)  # as far from the last level as make_qx_quants goes
_FEW = np.array([-0.3, 0.0, 0.3], np.float32)
_WIDTHS = np.linspace(-1.0, 0.9, 14, dtype=np.float32)
_NOT_WRITTEN = {"Q8_0": 1}  # -128: then a block and its negative have the same error


def levels_for(layout: Layout) -> Levels:
    """The levels of a block type that are written."""
    return levels_of(layout.levels, _NOT_WRITTEN.get(layout.name, 0))


def fit_grid(weight: Floats, layout: Layout, importance: Floats, *, search: bool = True) -> Grid:
    """The scales of a tensor.

    Args:
        weight: (rows, columns).
        layout: of the block type.
        importance: (columns,), what an error of a column costs, squared; above zero.
        search: try candidates; otherwise the range of the values decides.
    """
    rows, columns = weight.shape
    groups = columns // layout.group
    values = weight.reshape(rows, groups, layout.group)
    weights = importance.astype(np.float32).reshape(1, groups, layout.group)
    blocks = (rows, groups // layout.groups, layout.groups)
    return (_affine if layout.offsets else _signed)(values, weights, layout, blocks, search=search)


def _signed(values: Floats, weights: Floats, layout: Layout, blocks: tuple[int, ...], *, search: bool) -> Grid:
    levels = levels_for(layout)
    end, beside = float(levels.values[levels.first]), float(levels.values[levels.first + 1])
    ends = end + (end - beside) * (_PLACES if len(levels.values) < _FINE else _FEW)
    scale = signed_scales(values, weights, levels, ends if search else np.array([end]), 2 if search else 0)
    if layout.scales is None:
        return Grid(layout, half(scale))
    cost = (weights * values * values).sum(axis=-1) / np.maximum(scale * scale, np.float32(1e-30))
    d, whole = whole_scales(scale.reshape(blocks), cost.reshape(blocks), *layout.scales)
    return Grid(layout, d, whole)


def _affine(values: Floats, weights: Floats, layout: Layout, blocks: tuple[int, ...], *, search: bool) -> Grid:
    levels = levels_for(layout)
    widths = levels.last + (_WIDTHS if search else np.zeros(1, np.float32))
    below = layout.minimums is not None
    scale, offset = affine_steps(values, weights, levels, widths, below=below, rounds=2 if search else 0)
    if layout.scales is None or layout.minimums is None:
        return Grid(layout, half(scale), m=half(offset))
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    chosen = levels.nearest((values - offset[..., None]) * inverse[..., None])
    total = np.broadcast_to(weights.sum(axis=-1), scale.shape)
    mean = (weights * chosen).sum(axis=-1) / total
    cost = (weights * chosen * chosen).sum(axis=-1) - total * mean * mean  # the offset makes up for the rest
    d, whole = whole_scales(scale.reshape(blocks), cost.reshape(blocks), *layout.scales)
    moved = offset + mean * (scale - (d[..., None] * whole).reshape(scale.shape))
    m, minimums = whole_scales(np.maximum(-moved, 0).reshape(blocks), total.reshape(blocks), 0, layout.minimums)
    return Grid(layout, d, whole, m, minimums)


def nearest_codes(weight: Floats, grid: Grid) -> Bytes:
    """The nearest codes on a grid: (rows, columns)."""
    rows, columns = weight.shape
    values = weight.reshape(rows, -1, grid.layout.group)
    scale, offset = grid.scale, grid.offset
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=np.abs(scale) > 0)
    scaled = values * inverse[..., None] if offset is None else (values - offset[..., None]) * inverse[..., None]
    return levels_for(grid.layout).codes(scaled).reshape(rows, columns)
