"""Operators that gather several elements: pools, means, softmax, resize."""

from __future__ import annotations

import numpy as np

from shoestring.native.form import Array, Mean, Pool, Resize, Softmax, Value
from shoestring.native.functions import exp
from shoestring.native.interpret.rounding import centred, rescale, to_codes

F = np.float32


def pool(op: Pool, x: Array, source: Value, output: Value) -> Array:
    """Max or average over windows of (1, C, H, W)."""
    if op.function == "max":
        return _max_pool(op, x, output)
    counts = _counts(op, source, output)
    if source.kind == "i8":
        sums: Array = np.zeros(output.shape, np.int64)
        for part, _ in _parts(op, centred(x, source.zero), output):
            sums = sums + part
        return rescale(sums, F(source.scale / output.scale) / counts, output)
    total: Array = np.zeros(output.shape, F)
    # What lies outside the image is +0.0 here, which changes no sum that starts at +0.0.
    for part, _ in _parts(op, x, output):
        total = total + part
    return np.asarray(total / counts, dtype=F)


def _max_pool(op: Pool, x: Array, output: Value) -> Array:
    """`v > best ? v : best` from the first element inside the image on: a NaN there stays, a later one is skipped."""
    best: Array = np.zeros(output.shape, x.dtype)
    begun: Array = np.zeros(output.shape, bool)
    for part, inside in _parts(op, x, output):
        best = np.where(inside & (~begun | (part > best)), part, best)
        begun = begun | inside
    return best


def _parts(op: Pool, x: Array, output: Value) -> list[tuple[Array, Array]]:
    """For each place of the window, in order: what every window has there, and whether that is inside the image."""
    rows, columns = output.shape[2:]
    down, across = op.strides
    # A last window may stick out of the padded image: zeros enough for any.
    most = [(n - 1) * s + k for n, s, k in zip((rows, columns), op.strides, op.kernel, strict=True)]
    margin = [(op.pads[i], max(0, most[i] - op.pads[i] - x.shape[2 + i])) for i in (0, 1)]
    padded = np.pad(x, ((0, 0), (0, 0), *margin))
    inside = np.pad(np.ones((1, 1, *x.shape[2:]), bool), ((0, 0), (0, 0), *margin))
    places = []
    for y in range(op.kernel[0]):
        for z in range(op.kernel[1]):
            window = (
                slice(None),
                slice(None),
                slice(y, y + (rows - 1) * down + 1, down),
                slice(z, z + (columns - 1) * across + 1, across),
            )
            places.append((padded[window], inside[window]))
    return places


def _counts(op: Pool, source: Value, output: Value) -> Array:
    """float32 (H', W'): elements of each window inside the image, or inside the padded image when padding counts."""
    sides = []
    for axis in (0, 1):
        first = np.arange(output.shape[2 + axis]) * op.strides[axis] - op.pads[axis]
        low, high = 0, source.shape[2 + axis]
        if op.count_pads:
            low, high = -op.pads[axis], high + op.pads[axis + 2]
        sides.append(np.minimum(first + op.kernel[axis], high) - np.maximum(first, low))
    return np.asarray(np.multiply.outer(sides[0], sides[1]), dtype=F)


def mean(op: Mean, x: Array, source: Value, output: Value) -> Array:
    """Average over H x W; `op` has no parameters."""
    flat = x.reshape(x.shape[1], -1)
    count = F(flat.shape[1])
    if source.kind == "i8":
        sums = centred(flat, source.zero).sum(axis=1)
        return rescale(sums, F(source.scale / output.scale) / count, output).reshape(output.shape)
    total: Array = np.zeros(len(flat), F)
    for column in np.ascontiguousarray(flat.T):
        total = total + column
    return np.asarray(total / count, dtype=F).reshape(output.shape)


def softmax(op: Softmax, x: Array) -> Array:
    """exp(x - largest) over their sum, along one axis; the largest is found as max pooling does."""
    lines = np.moveaxis(x, op.axis, 0)
    largest: Array = lines[0]
    for line in lines[1:]:
        largest = np.where(line > largest, line, largest)
    powers = exp(lines - largest)
    total: Array = np.zeros(lines.shape[1:], F)
    for line in powers:
        total = total + line
    return np.ascontiguousarray(np.moveaxis(np.asarray(powers / total, dtype=F), 0, op.axis))


def resize(op: Resize, x: Array, output: Value) -> Array:
    """Nearest or bilinear, sources and weights as listed in the operator."""
    upper = x[:, :, list(op.rows)]
    if op.function == "nearest":
        return np.ascontiguousarray(upper[:, :, :, list(op.columns)])
    lower = x[:, :, list(op.rows2)]
    across, down = np.array(op.column_part, F), np.array(op.row_part, F)[:, None]
    top, bottom = (_between(rows, op, across) for rows in (upper.astype(F), lower.astype(F)))
    real = np.asarray(top + (bottom - top) * down, dtype=F)
    return real if output.kind == "f32" else to_codes(real, 0)


def _between(rows: Array, op: Resize, across: Array) -> Array:
    first, second = rows[..., list(op.columns)], rows[..., list(op.columns2)]
    return np.asarray(first + (second - first) * across, dtype=F)
