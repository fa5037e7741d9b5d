"""Weights in blocks that share a scale (and a zero point): the grids, rounding to them, and how they are stored.

Grids: the whole range of a block, or a range shrunk to the least squared error (choosing the clipping by search is in
Nagel et al., "A White Paper on Neural Network Quantization", 2021, arXiv 2106.08295, section 3.1). Rounding: nearest,
or GPTQ (Frantar et al., 2022, arXiv 2210.17323): columns are rounded in turn and each one's error is made good by the
columns still to come, through the Cholesky factor of the inverse of the inputs' second moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import UsageError

Array = npt.NDArray[Any]
Float64 = npt.NDArray[np.float64]

LEVELS = 16
MIDDLE = 8
"""The zero point of symmetric blocks: stored integers run from 0 to 15."""
SHRINK = tuple(round(1.0 - 0.025 * i, 3) for i in range(21))  # 1 down to 0.5 of the range
GPTQ_BLOCK = 128
GPTQ_DAMPING = 0.01  # of the mean diagonal, as in the paper
TINY = 1e-8


@dataclass(frozen=True)
class Grid:
    """real = scale * (integer - zero), integer in low..high.

    Args:
        scales: (rows, blocks), not 0, exact in float32; negative in symmetric blocks that reach further above zero.
        zeros: (rows, blocks) integers low..high.
        block: columns that share one of each; the last block may be shorter.
        low: smallest integer.
        high: largest one.
    """

    scales: Float64
    zeros: Float64
    block: int
    low: int = 0
    high: int = LEVELS - 1

    def spread(self, columns: int) -> tuple[Float64, Float64]:
        """Scale and zero of every single weight, (rows, columns)."""
        return tuple(np.repeat(part, self.block, axis=1)[:, :columns] for part in (self.scales, self.zeros))  # type: ignore[return-value]

    def real(self, integers: Array) -> Float64:
        """What (rows, columns) integers stand for."""
        scales, zeros = self.spread(integers.shape[1])
        return np.asarray(scales * (integers - zeros))


def range_grid(rows: Array, block: int, *, symmetric: bool, shrink: float = 1.0) -> Grid:
    """The grid whose ends are those of each block, times `shrink`.

    Args:
        rows: (channels, k) weights.
        block: columns in a block.
        symmetric: zero at 8, else wherever the block's range puts it.
    """
    low, high = (reduce(_blocked(rows, block)) * shrink for reduce in (_lowest, _highest))
    if symmetric:
        ends = np.where(-low > high, low, high)  # lies on integer 0; above zero it makes the scale negative
        scales = _float32(np.where(np.abs(ends) < TINY, TINY, -ends / MIDDLE))
        return Grid(scales, np.full(scales.shape, float(MIDDLE)), block)
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    scales = _float32(np.maximum((high - low) / (LEVELS - 1), TINY))
    return Grid(scales, np.clip(np.rint(-low / scales), 0, LEVELS - 1), block)


def best_grid(rows: Array, block: int, *, symmetric: bool, importance: Array | None = None) -> Grid:
    """Block by block the shrunk range with the least squared error of nearest rounding.

    Args:
        rows: (channels, k).
        block: columns in a block.
        symmetric: as in `range_grid`.
        importance: (k,) weight of each column's error, the mean square of its input; all equal when None.
    """
    weights = np.ones(rows.shape[1]) if importance is None else importance
    best: Grid | None = None
    lowest = np.empty(0)
    for shrink in SHRINK:
        tried = range_grid(rows, block, symmetric=symmetric, shrink=shrink)
        error = _blocked(weights * (tried.real(round_nearest(rows, tried)) - rows) ** 2, block).sum(axis=2)
        if best is None:
            best, lowest = tried, error
            continue
        wins = error < lowest
        best = Grid(np.where(wins, tried.scales, best.scales), np.where(wins, tried.zeros, best.zeros), block)
        lowest = np.where(wins, error, lowest)
    if best is None:
        raise UsageError("no range to try")
    return best


def round_nearest(rows: Array, grid: Grid) -> npt.NDArray[np.int16]:
    """The nearest integer of the grid for every weight."""
    scales, zeros = grid.spread(rows.shape[1])
    return np.clip(np.rint(rows / scales + zeros), grid.low, grid.high).astype(np.int16)


@dataclass(frozen=True)
class Metric:
    """What GPTQ needs of a Gram matrix, made once for any number of grids.

    Args:
        order: columns by their mean square, largest first ("act order").
        upper: in that order, upper triangular U with U' U = (G + damping)^-1.
    """

    order: npt.NDArray[np.intp]
    upper: Float64


def gptq_metric(gram: Array) -> Metric:
    """Of a (k, k) mean of x x' over a layer's inputs."""
    order = np.argsort(-np.diagonal(gram), kind="stable")
    mean = max(float(np.mean(np.diagonal(gram))), TINY)
    damped = gram[np.ix_(order, order)] + GPTQ_DAMPING * mean * np.eye(len(gram))
    return Metric(order, np.asarray(np.linalg.cholesky(np.linalg.inv(damped)).T))


def round_gptq(rows: Array, grid: Grid, metric: Metric) -> npt.NDArray[np.int16]:
    """Integers of the grid by GPTQ; the grid is fixed beforehand.

    Args:
        rows: (channels, k).
        grid: from the unchanged rows.
        metric: of the layer's inputs.
    """
    k, order, upper = rows.shape[1], metric.order, metric.upper
    scales, zeros = (part[:, order] for part in grid.spread(k))
    left = rows[:, order].astype(np.float64)
    integers = np.empty(rows.shape, np.int16)
    for first in range(0, k, GPTQ_BLOCK):
        last = min(first + GPTQ_BLOCK, k)
        errors = np.empty((len(rows), last - first))
        for j in range(first, last):
            taken = np.clip(np.rint(left[:, j] / scales[:, j] + zeros[:, j]), grid.low, grid.high)
            errors[:, j - first] = (left[:, j] - scales[:, j] * (taken - zeros[:, j])) / upper[j, j]
            left[:, j + 1 : last] -= errors[:, j - first, None] * upper[j, j + 1 : last]
            integers[:, order[j]] = taken
        left[:, last:] -= errors @ upper[first:last, last:]
    return integers


def pack(integers: Array, block: int) -> npt.NDArray[np.uint8]:
    """Storage of MatMulNBits with 4 bits: (rows, blocks, block / 2), the even column in the low half of a byte.

    The layout is that of ONNX Runtime's ContribOperators.md, com.microsoft.MatMulNBits; padding holds the middle.
    """
    filled = _padded(integers.astype(np.uint8), block, MIDDLE)
    pairs = filled.reshape(len(filled), -1, block // 2, 2)
    return np.asarray(pairs[..., 0] | (pairs[..., 1] << 4), np.uint8)


def pack_zeros(zeros: Array) -> npt.NDArray[np.uint8]:
    """Zero points as (rows * ceil(blocks / 2)) bytes, two a byte; an odd last one shares its byte with nothing."""
    filled = _padded(zeros.astype(np.uint8), 2, 0)
    return np.asarray(filled[:, 0::2] | (filled[:, 1::2] << 4), np.uint8).reshape(-1)


def unpack(packed: Array, columns: int) -> npt.NDArray[np.uint8]:
    """`pack` undone: (rows, columns)."""
    halves = np.stack([packed & 15, packed >> 4], axis=-1)
    return np.asarray(halves.reshape(len(packed), -1)[:, :columns], np.uint8)


def _blocked(rows: Array, block: int) -> Array:
    """(rows, blocks, block); a short last block is filled with zeros, which lie in every range."""
    return _padded(rows, block, 0).reshape(len(rows), -1, block)


def _padded(rows: Array, block: int, value: int) -> Array:
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % block)), constant_values=value)


def _lowest(blocks: Array) -> Array:
    return np.asarray(blocks.min(axis=2))


def _highest(blocks: Array) -> Array:
    return np.asarray(blocks.max(axis=2))


def _float32(scales: Array) -> Float64:
    return np.asarray(scales.astype(np.float32).astype(np.float64))
