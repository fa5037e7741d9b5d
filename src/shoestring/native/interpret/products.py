"""Sums of products: Conv, Linear, MatMul."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from shoestring.native.form import Array, Conv, Linear, MatMul, Value
from shoestring.native.interpret.fma import Step, step_of
from shoestring.native.interpret.rounding import centred, clamp_reals, rescale

F = np.float32
BLOCK = 1 << 16
"""Outputs summed at a time: their float64 temporaries stay in a cache of the second level."""

Taps = Iterator[tuple[int, int, Array]]
Sum = Callable[[Array, Array, Array, Taps], Array]


def conv(op: Conv, x: Array, source: Value, output: Value, fused: bool) -> Array:
    """A convolution of (1, C, H, W) codes or reals to (1, O, H', W')."""
    if op.multiplier is None:
        sums = _convolve(op, x, output.shape[2:], _float_sum(step_of(fused)))
        return clamp_reals(sums, op.clamp)
    # float64 is exact here: every partial sum is a whole number below 2**31.
    sums = _convolve(op, centred(x, source.zero).astype(np.float64), output.shape[2:], _whole_sum)
    return rescale(sums, op.multiplier.reshape(-1, 1, 1), output, op.clamp)


def linear(op: Linear, x: Array, source: Value, output: Value, fused: bool) -> Array:
    """(..., K) to (..., N): a 1 x 1 convolution over pixels in one column."""
    pixels = x.reshape(-1, x.shape[-1])
    image = pixels.T[None, :, :, None]
    outer = Value(output.name, (1, len(op.weight), len(pixels), 1), output.kind, output.scale, output.zero)
    weight = op.weight[:, :, None, None]
    same = Conv(op.name, op.inputs, op.output, weight, op.bias, op.multiplier, clamp=op.clamp)
    return np.ascontiguousarray(conv(same, image, source, outer, fused)[0, :, :, 0].T).reshape(output.shape)


def matmul(op: MatMul, a: Array, b: Array, sources: tuple[Value, Value], output: Value, fused: bool) -> Array:
    """(..., M, K) x (..., K, N), leading axes broadcast."""
    if op.multiplier is not None:
        left, right = (centred(x, v.zero).astype(np.float64) for x, v in zip((a, b), sources, strict=True))
        return rescale(np.matmul(left, right), F(op.multiplier), output)
    step = step_of(fused)
    total: Array = np.zeros(output.shape, F)
    for k in range(a.shape[-1]):
        total = step(a[..., :, k, None], b[..., None, k, :], total)
    return total


def _convolve(op: Conv, x: Array, sides: tuple[int, ...], add_up: Sum) -> Array:
    """Sums of one convolution, in the dtype that `add_up` gives, a block of output rows at a time."""
    top, left, bottom, right = op.pads
    padded = np.pad(x[0], ((0, 0), (top, bottom), (left, right)))
    per_group = op.weight.shape[1]
    image = padded.reshape(op.groups, per_group, *padded.shape[1:])
    outputs = len(op.weight)
    weight = op.weight.reshape(op.groups, outputs // op.groups, *op.weight.shape[1:])
    bias = op.bias.reshape(op.groups, -1, 1)
    rows = max(1, BLOCK // (outputs * sides[1]))
    blocks = []
    for first in range(0, sides[0], rows):
        count = min(rows, sides[0] - first)
        taps = _taps(op, image, first, count, sides[1])
        start = np.repeat(bias, count * sides[1], axis=2)
        blocks.append(add_up(weight, start, image, taps).reshape(outputs, count, sides[1]))
    return np.concatenate(blocks, axis=1)[None]


def _taps(op: Conv, image: Array, first: int, count: int, columns: int) -> Taps:
    """(kernel row, kernel column, the elements it meets as (groups, channels, pixels)) in the order of summation."""
    down, across = op.strides
    for y in range(op.weight.shape[2]):
        for x in range(op.weight.shape[3]):
            top, left = first * down + y * op.dilations[0], x * op.dilations[1]
            met = image[
                :, :, top : top + (count - 1) * down + 1 : down, left : left + (columns - 1) * across + 1 : across
            ]
            yield y, x, np.ascontiguousarray(met).reshape(*image.shape[:2], -1)


def _float_sum(step: Step) -> Sum:
    """One multiply-add after the other: kernel row, kernel column, input channel."""

    def add_up(weight: Array, total: Array, image: Array, taps: Taps) -> Array:
        for y, x, met in taps:
            for channel in range(image.shape[1]):
                total = step(weight[:, :, channel, y, x, None], met[:, channel, None, :], total)
        return total

    return add_up


def _whole_sum(weight: Array, start: Array, image: Array, taps: Taps) -> Array:
    """Whole numbers in float64, in any order."""
    total = start.astype(np.float64)
    for y, x, met in taps:
        column = weight[:, :, :, y, x].astype(np.float64)
        total += column * met if image.shape[1] == 1 else np.matmul(column, met)
    return total
