"""Operators on one element at a time."""

from __future__ import annotations

import numpy as np

from shoestring.native.form import Array, Binary, Value
from shoestring.native.interpret.rounding import centred, clamp_reals, to_codes

F = np.float32


def quantize(x: Array, output: Value) -> Array:
    """Reals to codes: a float32 division, then rint, zero point and clamp."""
    return to_codes(np.asarray(x / F(output.scale), dtype=F), output.zero)


def dequantize(x: Array, source: Value) -> Array:
    """Codes to reals."""
    return np.asarray(centred(x, source.zero).astype(F) * F(source.scale), dtype=F)


def binary(op: Binary, inputs: tuple[Array, ...], sources: tuple[Value, ...], output: Value) -> Array:
    """Two tensors, or a tensor and a constant, elementwise with broadcasting."""
    pairs = [(x, value.scale, value.zero) for x, value in zip(inputs, sources, strict=True)]
    if op.constant is not None:
        pairs.append((op.constant, op.constant_scale, op.constant_zero))
        if op.swapped:
            pairs.reverse()
    (a, scale_a, zero_a), (b, scale_b, zero_b) = pairs
    if output.kind == "f32":
        return clamp_reals(_reals(op.kind, a, b), op.clamp)
    left, right = centred(a, zero_a), centred(b, zero_b)
    if op.kind == "mul":
        ratio = F(float(F(scale_a * scale_b)) / output.scale)
        real = (left * right).astype(F) * ratio
    else:
        first = left.astype(F) * F(scale_a / output.scale)
        second = right.astype(F) * F(scale_b / output.scale)
        real = first + second if op.kind == "add" else first - second
    return to_codes(np.asarray(real, dtype=F), output.zero, op.clamp)


def _reals(kind: str, a: Array, b: Array) -> Array:
    if kind == "add":
        return np.asarray(a + b)
    if kind == "sub":
        return np.asarray(a - b)
    return np.asarray(a * b if kind == "mul" else a / b)
