"""A matrix rounded into a block type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import ModelError, UsageError
from shoestring.weights.block_types import row_bytes
from shoestring.weights.encode.fit import fit_grid, nearest_codes
from shoestring.weights.encode.second_order import SWEEPS, damp, round_second_order
from shoestring.weights.layouts import LAYOUTS

if TYPE_CHECKING:
    from shoestring.weights.arrays import Bytes, Floats
    from shoestring.weights.layouts import Layout

METHODS = ("plain", "importance", "second_order")
MAX_WEIGHT = 65_504.0  # the largest number of 16 bits: scales and offsets are such; trained weights stay below 1,000
_CHUNK_ELEMENTS = 1 << 19  # of the search for scales: what lies between its steps stays in the cache
_CHUNK_ROWS = 2048  # of the second order: a column of all rows stays in the cache


def quantize(
    weight: Floats,
    kind: str,
    *,
    importance: Floats | None = None,
    gram: Floats | None = None,
    method: str | None = None,
    sweeps: int = SWEEPS,
) -> Bytes:
    """Round a matrix.

    Args:
        weight: (rows, columns), finite; a row is what the inputs are multiplied with.
        kind: a block type of `block_types.WRITTEN` that the columns allow.
        importance: (columns,), E[x^2] of the inputs, to any factor; None: all the same, or the diagonal of `gram`.
        gram: (columns, columns), E[x x^T] of the inputs, to any factor.
        method: one of `METHODS`: range and nearest; scales searched by importance, and nearest; the second order.
            None: the second order where a Gram matrix is given, else importance.
        sweeps: rounds of the second order after its first pass: each lowers the loss, and takes as long as that pass.

    Returns:
        uint8, (rows, bytes of a row).

    Raises:
        ModelError: weights that are not finite, a type that the columns do not allow or that is not written.
        UsageError: importances or a Gram matrix of another shape or not finite, or a method that is not known.
    """
    weight = np.ascontiguousarray(weight, np.float32)
    if weight.ndim != 2 or not np.isfinite(weight).all():
        raise ModelError(f"weights of shape {weight.shape} are no matrix of finite numbers")
    needed = row_bytes(weight.shape[1], kind)
    if kind in ("F32", "F16", "BF16"):
        return _floats(weight, kind)
    layout = LAYOUTS.get(kind)
    largest = float(np.abs(weight).max(initial=0))
    if largest > MAX_WEIGHT:
        raise ModelError(
            f"a weight of {largest:,.0f} has no block type: the limit is {MAX_WEIGHT:,.0f}", hint="take BF16"
        )
    if layout is None:
        raise ModelError(f"{kind} is read, and not written", hint=f"those that are written: {', '.join(LAYOUTS)}")
    method = method or ("importance" if gram is None else "second_order")
    if method not in METHODS or (method == "second_order" and gram is None):
        raise UsageError(f"rounding by {method!r} is not known, or needs a Gram matrix", hint=", ".join(METHODS))
    _check(weight.shape[1], importance, gram)
    costs = _costs(weight.shape[1], importance, gram)
    damped = damp(gram) if gram is not None and method == "second_order" else None
    out = np.empty((len(weight), needed), np.uint8)
    rows = _CHUNK_ROWS if method == "second_order" else max(1, _CHUNK_ELEMENTS // weight.shape[1])
    for start in range(0, len(weight), rows):
        part = weight[start : start + rows]
        out[start : start + rows] = _rounded(part, layout, costs, damped, method, sweeps)
    return out


def _rounded(weight: Floats, layout: Layout, costs: Floats, gram: Floats | None, method: str, sweeps: int) -> Bytes:
    grid = fit_grid(weight, layout, costs, search=method != "plain")
    codes = nearest_codes(weight, grid) if gram is None else round_second_order(weight, grid, gram, sweeps=sweeps)
    return grid.pack(codes)


def _floats(weight: Floats, kind: str) -> Bytes:
    if kind == "F32":
        return weight.view(np.uint8)
    if kind == "F16":
        with np.errstate(over="ignore"):
            halves = weight.astype(np.float16)
        if not np.isfinite(halves).all():
            raise ModelError(f"F16 does not hold {np.abs(weight).max():,.0f}: its largest is 65,504", hint="take BF16")
        return halves.view(np.uint8)
    bits = weight.view(np.uint32)
    nearest = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))  # half-way to the even one
    return (nearest >> np.uint32(16)).astype(np.uint16).view(np.uint8)


def _check(columns: int, importance: Floats | None, gram: Floats | None) -> None:
    if importance is not None and (importance.shape != (columns,) or not np.isfinite(importance).all()):
        raise UsageError(f"importances of shape {importance.shape} are no finite numbers of {columns:,} columns")
    if gram is not None and (gram.shape != (columns, columns) or not np.isfinite(gram).all()):
        raise UsageError(f"a Gram matrix of shape {gram.shape} is no finite one of {columns:,} columns")


def _costs(columns: int, importance: Floats | None, gram: Floats | None) -> Floats:
    """Importances above zero: a column that no input of the calibration text reached still has some."""
    found = importance if importance is not None else None if gram is None else np.diag(gram)
    if found is None:
        return np.ones(columns, np.float32)
    found = np.maximum(found.astype(np.float32), 0)
    mean = float(found.mean())
    return found / mean + np.float32(1e-4) if mean > 0 else np.ones(columns, np.float32)
