"""Rounding as a search: integers q that bring (w - s q) G (w - s q)' down one coordinate at a time.

Each step sets one weight of every row to the best integer given the others, so the error never rises; started from
GPTQ's answer (Frantar et al., "GPTQ", 2022, arXiv 2210.17323) or from the nearest integers it ends where no single
weight can be moved. That it is coordinate descent on a quadratic over the integers is the view of Behdin et al.,
"QuantEase", 2023 (arXiv 2309.01885). Scales are refitted between searches: for fixed q the best s is a projection.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.adaround import learn_rounding
from shoestring.compress.blocks import Grid, Metric, gptq_metric, round_gptq

Array = npt.NDArray[Any]
Float64 = npt.NDArray[np.float64]

BLOCK = 64
"""Columns worked on before the rest of the gradient is brought up to date by one matrix product."""
SWEEPS = 12
SHRINK = (1.0, 0.92, 0.84, 0.76, 0.68, 0.6, 0.5)
REFITS = 4


def quadratic_error(rows: Array, rounded: Array, gram: Array) -> Float64:
    """(w - q) G (w - q)' for each row; `gram` (k, k), or (rows, k, k) with one for each row."""
    off = np.asarray(rows, np.float64) - rounded
    return np.asarray(np.sum(_times(off, gram) * off, axis=1))


def nearest(rows: Array, scales: Array, limit: int) -> npt.NDArray[np.int8]:
    """The nearest integers within +-limit."""
    return np.clip(np.rint(rows / _wide(scales)), -limit, limit).astype(np.int8)


def by_gptq(rows: Array, scales: Array, metric: Metric, limit: int) -> npt.NDArray[np.int8]:
    """GPTQ's integers within +-limit, with one scale a row."""
    grid = Grid(scales[:, None], np.zeros((len(rows), 1)), rows.shape[1], -limit, limit)
    return round_gptq(rows, grid, metric).astype(np.int8)


def descend(
    rows: Array, scales: Array, gram: Array, limit: int, start: Array, sweeps: int = SWEEPS
) -> npt.NDArray[np.int8]:
    """Integers no worse than `start`, at which no single change helps (unless `sweeps` ends first).

    Args:
        rows: (channels, k) wanted weights.
        scales: (channels,), above 0.
        gram: (k, k) positive semidefinite, or (channels, k, k).
        limit: largest magnitude, at most 127.
        start: (channels, k) integers within +-limit.
        sweeps: most passes over all coordinates.
    """
    step = _wide(np.asarray(scales, np.float64))
    integers = start.astype(np.float64)
    curvature = np.maximum(np.diagonal(gram, axis1=-2, axis2=-1), 1e-300)
    for _ in range(sweeps):
        slope = _times(integers * step - rows, gram)
        moved = False
        for first in range(0, rows.shape[1], BLOCK):
            block = slice(first, min(first + BLOCK, rows.shape[1]))
            before = integers[:, block].copy()
            _descend_block(integers, slope, step[:, 0], gram, curvature, block, limit)
            change = (integers[:, block] - before) * step
            if change.any():
                moved = True
                slope += _times(change, gram[..., block, :])
        if not moved:
            break
    return integers.astype(np.int8)


def _descend_block(
    integers: Float64, slope: Float64, step: Float64, gram: Array, curvature: Array, block: slice, limit: int
) -> None:
    local = slope[:, block].copy()
    inner = gram[..., block, block]
    for j in range(block.stop - block.start):
        column = block.start + j
        bend = curvature[..., column]
        old = integers[:, column]
        new = np.clip(np.rint(old - local[:, j] / (bend * step)), -limit, limit)
        change = (new - old) * step
        gain = change * (2.0 * local[:, j] + change * bend)
        change = np.where(gain < 0, change, 0.0)
        integers[:, column] = np.where(change != 0, new, old)
        local += change[:, None] * inner[..., j, :]


def refit_scales(rows: Array, integers: Array, gram: Array, scales: Array) -> Float64:
    """The scale of each row with the least error for these integers; the old one where there is none above zero."""
    q = integers.astype(np.float64)
    pulled = _times(q, gram)
    top, bottom = np.sum(pulled * rows, axis=1), np.sum(pulled * q, axis=1)
    found = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    return np.where(found > 0.1 * scales, found, scales)


def search(rows: Array, gram: Array, limit: int, floor: Array) -> tuple[npt.NDArray[np.int8], Float64]:
    """Integers and scales together: the range is shrunk in steps, then integers and scales are refitted in turn.

    Args:
        rows: (channels, k) wanted weights.
        gram: (k, k) or (channels, k, k), positive definite.
        limit: largest magnitude.
        floor: (channels,) smallest scale allowed.

    Returns:
        (channels, k) int8 and (channels,) scales that float32 holds exactly.
    """
    widest = np.maximum(np.abs(rows).max(axis=1) / limit, floor)
    best, scales = nearest(rows, widest, limit), widest
    lowest = quadratic_error(rows, best * _wide(widest), gram)
    metric = gptq_metric(gram) if gram.ndim == 2 else None
    for factor in SHRINK:
        tried = _float32(np.maximum(widest * factor, floor))
        start = nearest(rows, tried, limit) if metric is None else by_gptq(rows, tried, metric, limit)
        integers = descend(rows, tried, gram, limit, start, sweeps=1)
        best, scales, lowest = _better(rows, gram, (integers, tried), (best, scales, lowest))
    if gram.ndim == 3:  # a second start: with few columns descent alone ends early, and learning is cheap
        learned = learn_rounding(rows, scales, gram, limit)
        second = descend(rows, scales, gram, limit, learned)
        best, scales, lowest = _better(rows, gram, (second, scales), (best, scales, lowest))
    for _ in range(REFITS):
        tried = _float32(np.maximum(refit_scales(rows, best, gram, scales), floor))
        best, scales, lowest = _better(rows, gram, (best, tried), (best, scales, lowest))
        integers = descend(rows, scales, gram, limit, best)
        if np.array_equal(integers, best):
            break
        best, scales, lowest = _better(rows, gram, (integers, scales), (best, scales, lowest))
    return best, scales


def _better(
    rows: Array, gram: Array, tried: tuple[Array, Array], held: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """Row by row, the one of less error."""
    error = quadratic_error(rows, tried[0] * _wide(tried[1]), gram)
    wins = error < held[2]
    return np.where(wins[:, None], tried[0], held[0]), np.where(wins, tried[1], held[1]), np.where(wins, error, held[2])


def _times(rows: Array, gram: Array) -> Float64:
    if gram.ndim == 2:
        return np.asarray(rows @ gram)
    return np.asarray(np.matmul(rows[:, None, :], gram)[:, 0, :])


def _wide(scales: Array) -> Array:
    return scales[:, None] if scales.ndim == 1 else scales


def _float32(scales: Array) -> Float64:
    return scales.astype(np.float32).astype(np.float64)
