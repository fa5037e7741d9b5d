"""Random small networks of the blocks that mobile networks are made of."""

from __future__ import annotations

import numpy as np

from native.program_builder import Builder, code_clamp, pick, real_clamp
from native.program_single import _half_pixel
from shoestring.native.form import (
    OPEN,
    Binary,
    Concat,
    Dequantize,
    Linear,
    Mean,
    Pool,
    Program,
    Quantize,
    Reshape,
    Resize,
    Softmax,
    Table,
    Unary,
    Value,
)

MAX_OPS = 12


def build_network(b: Builder) -> Program:
    """Blocks while there is room for them and the head (at most four operators), 5 to 12 operators in all."""
    rng = b.rng
    kind = str(pick(rng, ("i8", "i8", "f32")))
    x = b.input((1, int(pick(rng, (1, 3, 8, 17))), int(rng.integers(5, 17)), int(rng.integers(5, 17))), kind)
    extra: list[Value] = []
    while len(b.ops) < MAX_OPS - 4:
        room = MAX_OPS - 4 - len(b.ops)
        x = pick(rng, [block for size, block in BLOCKS if size <= room])(b, x)
        if x.kind == "i8" and not extra and rng.random() < 0.1:
            extra.append(x)
        if len(b.ops) >= 2 and rng.random() < 0.15:
            break
    y = _head(b, x)
    return b.program(y, *(v for v in extra if v is not y))


def _binary(b: Builder, name: str, a: Value, c: Value) -> Value:
    natural = a.scale * c.scale * 100 if name == "mul" else max(a.scale, c.scale)
    y = b.value(np.broadcast_shapes(a.shape, c.shape), a.kind, float(np.float32(natural * b.rng.uniform(0.7, 2))))
    clamp = code_clamp(b.rng, y.zero) if a.kind == "i8" else real_clamp(b.rng)
    return b.add(Binary, (a, c), y, kind=name, clamp=clamp)


def _conv(b: Builder, x: Value) -> Value:
    stride = int(pick(b.rng, (1, 2))) if min(x.shape[2:]) > 3 else 1
    kernel = pick(b.rng, ((1, 1), (3, 3), (3, 3), (5, 5)))
    return b.conv(x, int(pick(b.rng, (8, 16, 24, 17))), kernel, x.kind, strides=(stride, stride))


def _inverted_residual(b: Builder, x: Value) -> Value:
    """Expand, depthwise, project, and the residual where the stride allows it."""
    rng = b.rng
    wide = x.shape[1] * int(pick(rng, (2, 3)))
    stride = int(pick(rng, (1, 1, 2))) if min(x.shape[2:]) > 3 else 1
    y = b.conv(x, wide, (1, 1), x.kind)
    kernel = pick(rng, ((3, 3), (5, 5)))
    y = b.conv(y, wide, kernel, x.kind, strides=(stride, stride), groups=wide)
    if stride == 1:
        return _binary(b, "add", x, b.conv(y, x.shape[1], (1, 1), x.kind, clamp=OPEN))
    return b.conv(y, int(pick(rng, (8, 16, 24))), (1, 1), x.kind, clamp=OPEN)


def _squeeze_excite(b: Builder, x: Value) -> Value:
    channels = x.shape[1]
    y = b.add(Mean, (x,), b.value((1, channels, 1, 1), x.kind, x.scale))
    y = b.conv(y, max(1, channels // 4), (1, 1), x.kind)
    y = b.conv(y, channels, (1, 1), x.kind, clamp=OPEN)
    if x.kind == "f32":
        gate = b.add(Unary, (y,), b.value(y.shape, "f32"), function="hard_sigmoid", a=1 / 6, b=0.5)
    else:
        codes = np.clip(np.arange(256) * 2 - 128, 0, 255).astype(np.uint8)
        gate = b.add(Table, (y,), b.value(y.shape, "i8", 1 / 256, 0), table=codes)
    return _binary(b, "mul", x, gate)


def _pool(b: Builder, x: Value) -> Value:
    name = pick(b.rng, ("max", "average"))
    strides = (2, 2) if min(x.shape[2:]) > 3 else (1, 1)
    sides = ((n + 1) // 2 if strides[0] == 2 else n for n in x.shape[2:])
    shape = (*x.shape[:2], *sides)
    return b.add(Pool, (x,), b.like(x, shape), function=name, kernel=(3, 3), strides=strides, pads=(1, 1, 1, 1))


def _branches(b: Builder, x: Value) -> Value:
    """Two convolutions side by side, in one scale."""
    left = b.conv(x, int(pick(b.rng, (8, 5))), (1, 1), x.kind)
    right = b.conv(x, int(pick(b.rng, (16, 7))), (3, 3), x.kind)
    if left.kind == "i8":
        right = _as(b, right, left)
    return b.add(Concat, (left, right), b.like(left, (1, left.shape[1] + right.shape[1], *x.shape[2:])), axis=1)


def _as(b: Builder, x: Value, like: Value) -> Value:
    """x with the scale and zero point of another value, through a table."""
    real = x.scale * (np.arange(256) - x.zero)
    codes = np.clip(np.rint(real / like.scale) + like.zero, 0, 255).astype(np.uint8)
    return b.add(Table, (x,), b.like(like, x.shape), table=codes)


def _resize(b: Builder, x: Value) -> Value:
    out = tuple(n * 2 if n <= 8 else n // 2 for n in x.shape[2:])
    y = b.like(x, (*x.shape[:2], *out))
    lines = [_half_pixel(side, size) for side, size in zip(x.shape[2:], out, strict=True)]
    (rows, rows2, row_part), (columns, columns2, column_part) = lines
    if b.rng.random() < 0.5:
        return b.add(Resize, (x,), y, function="nearest", rows=rows, columns=columns)
    fields = {"rows2": rows2, "columns2": columns2, "row_part": row_part, "column_part": column_part}
    return b.add(Resize, (x,), y, function="bilinear", rows=rows, columns=columns, **fields)


def _to_codes(b: Builder, x: Value) -> Value:
    if x.kind == "i8":
        return _to_reals(b, x)
    return b.add(Quantize, (x,), b.value(x.shape, "i8", float(np.float32(0.05)), int(b.rng.integers(256))))


def _to_reals(b: Builder, x: Value) -> Value:
    return b.add(Dequantize, (x,), b.value(x.shape, "f32"))


def _activation(b: Builder, x: Value) -> Value:
    if x.kind == "i8":
        return b.add(Table, (x,), b.value(x.shape, "i8"), table=b.rng.integers(0, 256, 256).astype(np.uint8))
    function = str(pick(b.rng, ("hard_swish", "silu", "leaky_relu", "tanh")))
    return b.add(Unary, (x,), b.value(x.shape, "f32"), function=function, a=0.1)


BLOCKS = (
    (1, _conv), (1, _conv), (4, _inverted_residual), (4, _inverted_residual), (5, _squeeze_excite), (1, _pool),
    (4, _branches), (1, _resize), (1, _to_codes), (1, _activation),
)  # fmt: skip
"""Operators at most, and the block."""


def _head(b: Builder, x: Value) -> Value:
    """Mean, perhaps a reshape, a Linear to reals, Softmax."""
    channels = x.shape[1]
    if b.rng.random() < 0.5:
        flat = b.add(Mean, (x,), b.value((1, channels), x.kind, x.scale))
    else:
        mean = b.add(Mean, (x,), b.value((1, channels, 1, 1), x.kind, x.scale))
        flat = b.add(Reshape, (mean,), b.like(mean, (1, channels)))
    logits = b.linear(flat, 10, "f32", OPEN)
    op = b.ops[-1]
    if isinstance(op, Linear) and op.multiplier is not None:
        op.multiplier[:] /= 64  # reals, not codes
    return b.add(Softmax, (logits,), b.value((1, 10), "f32"), axis=-1)
