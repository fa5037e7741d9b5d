"""Random programs of one operator; `native.programs` names them."""

from __future__ import annotations

import numpy as np

from native.program_builder import (
    CHANNELS,
    Builder,
    Rng,
    Shape,
    code_clamp,
    float_weights,
    pick,
    random_scale,
    real_clamp,
)
from shoestring.native.form import (
    UNARY,
    Array,
    Binary,
    Concat,
    Dequantize,
    MatMul,
    Mean,
    Pad,
    Pool,
    Program,
    Quantize,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Table,
    Transpose,
    Unary,
)

__all__ = ["UNARY"]

KERNELS = ((1, 1), (2, 2), (3, 3), (3, 3), (5, 5), (7, 7), (1, 3), (3, 1), (2, 5))
MATMUL_AXES = (((), (), ()), ((1, 2), (1, 2), (1, 2)), ((1, 3), (3,), (1, 3)), ((2,), (3, 1), (3, 2)))
STRIDES = ((1, 1), (1, 1), (2, 2), (3, 3), (1, 2))


def _side(rng: Rng, least: int = 1, most: int = 14) -> int:
    return int(rng.integers(least, max(most, least) + 1))


def _image(rng: Rng, channels: int | None = None, least: int = 1) -> Shape:
    channels = int(pick(rng, CHANNELS)) if channels is None else channels
    return (1, channels, _side(rng, least), _side(rng, least))


def _any_shape(rng: Rng) -> Shape:
    """An image, or something of rank 1 to 4 without a meaning."""
    if rng.random() < 0.5:
        return _image(rng)
    return tuple(_side(rng, 1, 9) for _ in range(int(rng.integers(1, 5))))


def conv(b: Builder, style: str, kind: str) -> Program:
    """dense, pointwise (1 x 1), depthwise, grouped or dilated; kind i8, f32 or i8_f32 (reals out of codes)."""
    rng = b.rng
    kernel = (1, 1) if style == "pointwise" else pick(rng, KERNELS)
    strides = pick(rng, STRIDES)
    dilations = pick(rng, ((2, 2), (1, 3), (3, 2))) if style == "dilated" else (1, 1)
    pads = (0, 0, 0, 0)
    if style != "pointwise" or rng.random() < 0.2:
        pads = tuple(int(p) for p in rng.integers(0, [k // 2 + 2 for k in (*kernel, *kernel)]))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    height = _side(rng, max(1, reach[0] - pads[0] - pads[2]))
    width = _side(rng, max(1, reach[1] - pads[1] - pads[3]))
    channels, out, groups = int(pick(rng, CHANNELS)), int(pick(rng, CHANNELS)), 1
    if style == "depthwise":
        groups, out = channels, channels * int(pick(rng, (1, 1, 1, 2)))
    elif style == "grouped":
        groups = int(pick(rng, (2, 3, 4)))
        channels, out = groups * int(pick(rng, (1, 3, 8, 17))), groups * int(pick(rng, (1, 5, 8, 16)))
    x = b.input((1, channels, height, width), kind[:3] if kind == "f32" else "i8")
    y = b.conv(
        x, out, kernel, kind[-3:] if "f32" in kind else "i8",
        strides=strides, pads=pads, dilations=dilations, groups=groups,
    )  # fmt: skip
    return b.program(y)


def linear(b: Builder, kind: str) -> Program:
    lead = pick(b.rng, ((1,), (1,), (5,), (1, 7), (2, 3), ()))
    x = b.input((*lead, int(pick(b.rng, (*CHANNELS, 300)))), "f32" if kind == "f32" else "i8")
    return b.program(b.linear(x, int(pick(b.rng, (1, 2, 10, *CHANNELS))), "f32" if "f32" in kind else "i8"))


def matmul(b: Builder, kind: str) -> Program:
    rng = b.rng
    left, right, lead = pick(rng, MATMUL_AXES)
    m, k, n = (int(pick(rng, (1, 2, 5, 8, 16, 17, 33))) for _ in range(3))
    of_input = "f32" if kind == "f32" else "i8"
    a, c = b.input((*left, m, k), of_input), b.input((*right, k, n), of_input)
    y = b.value((*lead, m, n), "f32" if "f32" in kind else "i8")
    multiplier = None if kind == "f32" else float(np.float32(10.0 ** rng.uniform(-0.3, 2.5) / (5500 * np.sqrt(k))))
    return b.program(b.add(MatMul, (a, c), y, multiplier=multiplier))


def _partner(rng: Rng, shape: Shape) -> Shape:
    """A shape that broadcasts to the given one: itself, one value a channel, a scalar, a row."""
    channel = tuple(n if axis == len(shape) - 3 else 1 for axis, n in enumerate(shape))
    some = tuple(n if rng.random() < 0.6 else 1 for n in shape)
    return pick(rng, (shape, shape, channel, channel[1:], (1,) * len(shape), (), shape[-1:], some))


def _near(rng: Rng, scale: float, most: float = 1.0) -> float:
    """A scale within 10**-most .. 10**most of the given one."""
    return float(np.float32(scale * 10.0 ** rng.uniform(-most, most)))


def _result_scale(rng: Rng, name: str, sa: float, sb: float) -> float:
    natural = sa * sb * 100 if name == "mul" else max(sa, sb)
    return _near(rng, natural)


def binary(b: Builder, name: str, kind: str) -> Program:
    rng = b.rng
    shape = _any_shape(rng)
    left, right = shape, _partner(rng, shape)
    if rng.random() < 0.3:
        left, right = right, left
    a = b.input(left, kind)
    c = b.input(right, kind, _near(rng, a.scale))
    y = b.value(np.broadcast_shapes(left, right), kind, _result_scale(rng, name, a.scale, c.scale))
    clamp = code_clamp(rng, y.zero) if kind == "i8" else real_clamp(rng)
    return b.program(b.add(Binary, (a, c), y, kind=name, clamp=clamp))


def binary_constant(b: Builder, name: str, kind: str) -> Program:
    rng = b.rng
    shape = _any_shape(rng)
    left, right = shape, _partner(rng, shape)
    if rng.random() < 0.1:
        left, right = right, left
    a = b.input(left, kind)
    scale, zero = (_near(rng, a.scale), int(rng.integers(0, 256))) if kind == "i8" else (1.0, 0)
    constant: Array = rng.integers(0, 256, right).astype(np.uint8) if kind == "i8" else float_weights(rng, right)
    constant = np.asarray(constant)
    y = b.value(np.broadcast_shapes(left, right), kind, _result_scale(rng, name, a.scale, scale))
    clamp = code_clamp(rng, y.zero) if kind == "i8" else real_clamp(rng)
    fields = {"constant": constant, "constant_scale": scale, "constant_zero": zero}
    return b.program(b.add(Binary, (a,), y, kind=name, clamp=clamp, swapped=bool(rng.integers(2)), **fields))


def unary(b: Builder, name: str) -> Program:
    x = b.input(_any_shape(b.rng), "f32")
    parameters = {"clip": (-0.7, 3.3), "leaky_relu": (0.1, 0.0), "hard_sigmoid": (0.2, 0.5)}
    a, c = parameters.get(name, (0.0, 0.0))
    return b.program(b.add(Unary, (x,), b.value(x.shape, "f32"), function=name, a=a, b=c))


def pool(b: Builder, name: str, kind: str) -> Program:
    """Every window holds at least one element of the image; the last may stick out of the padded image (ceil mode)."""
    rng = b.rng
    kernel = pick(rng, KERNELS)
    strides = pick(rng, (*STRIDES, kernel))
    pads = tuple(int(p) for p in rng.integers(0, [(k + 1) // 2 for k in (*kernel, *kernel)]))
    height, width = (_side(rng, max(1, kernel[i] - pads[i] - pads[i + 2])) for i in (0, 1))
    x = b.input((1, int(pick(rng, CHANNELS)), height, width), kind)
    sizes = []
    for i, side in enumerate((height, width)):
        room = side + pads[i] + pads[i + 2] - kernel[i]
        size = room // strides[i] + 1
        if room % strides[i] and size * strides[i] < side + pads[i] and rng.random() < 0.5:
            size += 1
        # A window beyond the image's last element holds nothing: fewer outputs then.
        while size > 1 and (size - 1) * strides[i] - pads[i] >= side:
            size -= 1
        sizes.append(size)
    shape = (*x.shape[:2], *sizes)
    y = b.like(x, shape) if name == "max" else b.value(shape, kind, _near(rng, x.scale))
    fields = {"strides": strides, "pads": pads, "count_pads": name == "average" and bool(rng.integers(2))}
    return b.program(b.add(Pool, (x,), y, function=name, kernel=kernel, **fields))


def mean(b: Builder, kind: str) -> Program:
    x = b.input(_image(b.rng), kind)
    shape = pick(b.rng, ((*x.shape[:2], 1, 1), x.shape[:2]))
    return b.program(b.add(Mean, (x,), b.value(shape, kind, _near(b.rng, x.scale))))


def softmax(b: Builder) -> Program:
    x = b.input(_any_shape(b.rng), "f32")
    rank = len(x.shape)
    axis = pick(b.rng, (-1, int(b.rng.integers(-rank, rank))))
    return b.program(b.add(Softmax, (x,), b.value(x.shape, "f32"), axis=axis))


def table(b: Builder) -> Program:
    x = b.input(_any_shape(b.rng), "i8")
    codes = b.rng.integers(0, 256, 256).astype(np.uint8)
    return b.program(b.add(Table, (x,), b.value(x.shape, "i8"), table=codes))


def quantize(b: Builder) -> Program:
    x = b.input(_any_shape(b.rng), "f32")
    return b.program(b.add(Quantize, (x,), b.value(x.shape, "i8", random_scale(b.rng))))


def dequantize(b: Builder) -> Program:
    x = b.input(_any_shape(b.rng), "i8")
    return b.program(b.add(Dequantize, (x,), b.value(x.shape, "f32")))


def concat(b: Builder, kind: str) -> Program:
    rng = b.rng
    shape = _any_shape(rng)
    axis = 1 if len(shape) == 4 and rng.random() < 0.7 else int(rng.integers(len(shape)))
    sizes = [int(pick(rng, (1, 3, 8, 16, 17, 24))) for _ in range(int(rng.integers(2, 5)))]
    shapes = [(*shape[:axis], n, *shape[axis + 1 :]) for n in sizes]
    first = b.input(shapes[0], kind)
    parts = (first, *(b.input(s, kind, first.scale, first.zero) for s in shapes[1:]))
    y = b.like(first, (*shape[:axis], sum(sizes), *shape[axis + 1 :]))
    return b.program(b.add(Concat, parts, y, axis=axis))


def slice(b: Builder, kind: str) -> Program:
    rng = b.rng
    x = b.input(_any_shape(rng), kind)
    starts, steps, shape = [], [], []
    for n in x.shape:
        start, step = int(rng.integers(n)), int(pick(rng, (1, 1, 2, 3, -1, -2)))
        room = (n - 1 - start) // step if step > 0 else start // -step
        starts.append(start)
        steps.append(step)
        shape.append(int(rng.integers(room + 1)) + 1)
    return b.program(b.add(Slice, (x,), b.like(x, tuple(shape)), starts=tuple(starts), steps=tuple(steps)))


def pad(b: Builder, kind: str) -> Program:
    rng = b.rng
    x = b.input(_any_shape(rng), kind)
    before = tuple(int(n) for n in rng.integers(0, 4, len(x.shape)))
    behind = rng.integers(0, 4, len(x.shape))
    shape = tuple(int(n + p + q) for n, p, q in zip(x.shape, before, behind, strict=True))
    value = float(pick(rng, (x.zero, 0, 255))) if kind == "i8" else float(pick(rng, (0.0, -1.5, 0.1)))
    return b.program(b.add(Pad, (x,), b.like(x, shape), before=before, value=value))


def _nearest(rng: Rng, side: int, out: int) -> tuple[int, ...]:
    if rng.random() < 0.3:
        return tuple(int(n) for n in np.sort(rng.integers(0, side, out)))
    return tuple(y * side // out for y in range(out))


def resize(b: Builder, name: str, kind: str) -> Program:
    rng = b.rng
    x = b.input(_image(rng), kind)
    sides = x.shape[2:]
    out = tuple(int(pick(rng, (2 * n, 3 * n, max(1, n // 2), _side(rng)))) for n in sides)
    y = b.like(x, (*x.shape[:2], *out))
    if name == "nearest":
        rows, columns = (_nearest(rng, *pair) for pair in zip(sides, out, strict=True))
        return b.program(b.add(Resize, (x,), y, function=name, rows=rows, columns=columns))
    lines = [_half_pixel(side, size) for side, size in zip(sides, out, strict=True)]
    (rows, rows2, row_part), (columns, columns2, column_part) = lines
    fields = {"rows2": rows2, "columns2": columns2, "row_part": row_part, "column_part": column_part}
    return b.program(b.add(Resize, (x,), y, function=name, rows=rows, columns=columns, **fields))


def _half_pixel(side: int, out: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...]]:
    """First source, second source and weight of the second: ONNX's half_pixel coordinates."""
    at = np.clip((np.arange(out) + 0.5) * side / out - 0.5, 0, side - 1)
    first = np.floor(at).astype(int)
    part = (at - first).astype(np.float32)
    second = np.minimum(first + 1, side - 1)
    return tuple(first.tolist()), tuple(second.tolist()), tuple(float(p) for p in part)


def transpose(b: Builder, kind: str) -> Program:
    x = b.input(_any_shape(b.rng), kind)
    axes = tuple(int(a) for a in b.rng.permutation(len(x.shape)))
    return b.program(b.add(Transpose, (x,), b.like(x, tuple(x.shape[a] for a in axes)), axes=axes))


def reshape(b: Builder, kind: str) -> Program:
    x = b.input(_any_shape(b.rng), kind)
    count = x.count
    shapes = [x.shape, (count,), (1, count), (1, 1, count)]
    shapes += [(count // n, n) for n in (2, 3, 4, 8) if count % n == 0]
    shapes += [(1, n, count // n, 1) for n in (2, 3, 4, 8) if count % n == 0]
    return b.program(b.add(Reshape, (x,), b.like(x, pick(b.rng, shapes))))
