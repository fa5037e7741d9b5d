"""Operators that only move elements."""

from __future__ import annotations

import numpy as np

from shoestring.native.form import Array, Pad, Slice, Value


def strided(op: Slice, x: Array, output: Value) -> Array:
    """`starts[i] + steps[i] * index` on every axis."""
    at = [start + step * np.arange(n) for start, step, n in zip(op.starts, op.steps, output.shape, strict=True)]
    return np.ascontiguousarray(x[np.ix_(*at)]) if at else x.copy()


def padded(op: Pad, x: Array, output: Value) -> Array:
    """x inside a tensor of one value."""
    made = np.full(output.shape, op.value, x.dtype)
    made[tuple(slice(first, first + n) for first, n in zip(op.before, x.shape, strict=True))] = x
    return made
