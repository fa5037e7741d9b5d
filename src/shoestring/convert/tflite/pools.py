"""Pools and means over images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shoestring.convert.tflite.clamps import fused
from shoestring.convert.tflite.emitter import Emitter
from shoestring.convert.tflite.flat import Scales
from shoestring.convert.tflite.layout import IMAGE, plain
from shoestring.convert.tflite.windows import Framed, framed, padded, padding_name, sides_of
from shoestring.native.form import OPEN, Array, Mean, Pool, Unary, Value

F = np.float32


def pool(emitter: Emitter, op: Pool) -> None:
    """MAX_POOL_2D or AVERAGE_POOL_2D; a mean that they cannot say is put together of other operators."""
    if op.function == "max":
        _pool(emitter, op, emitter.new(op.output, IMAGE))
        return
    source, result = emitter.source(op), emitter.result(op)
    counts = window_counts(op, sides_of(source), sides_of(result))
    if _sayable(op, source, result, counts):
        same = source.kind == "f32" or (source.scale, source.zero) == (result.scale, result.zero)
        if same:
            _pool(emitter, op, emitter.new(op.output, IMAGE))
            return
    if source.kind == "i8" and (counts == counts.flat[0]).all():
        _as_depthwise(emitter, op, source, int(counts.flat[0]))
    elif source.kind == "i8":
        _in_floats(emitter, op, counts)
    else:
        tensor = emitter.tensor(source.name, IMAGE)
        _scaled_mean(emitter, op, source, tensor, counts, emitter.new(op.output, IMAGE))


def _sayable(op: Pool, source: Value, result: Value, counts: Array) -> bool:
    """Whether AVERAGE_POOL_2D divides by the same counts: SAME leaves padding out, VALID has none."""
    sides, out = sides_of(source), sides_of(result)
    name = padding_name(sides, op.kernel, op.strides, op.pads, (1, 1), out)
    inside = replace(op, count_pads=False)
    return name is not None and np.array_equal(counts, window_counts(inside, sides, out))


def window_counts(op: Pool, sides: tuple[int, int], out: tuple[int, int]) -> Array:
    """How many elements each window's sum is divided by: (rows, columns)."""
    lines = []
    for i in (0, 1):
        first = np.arange(out[i]) * op.strides[i] - op.pads[i]
        low, high = (-op.pads[i], sides[i] + op.pads[i + 2]) if op.count_pads else (0, sides[i])
        lines.append(np.minimum(first + op.kernel[i], high) - np.maximum(first, low))
    return np.asarray(np.multiply.outer(lines[0], lines[1]))


def _pool(emitter: Emitter, op: Pool, made: int) -> None:
    source, result = emitter.source(op), emitter.result(op)
    int8 = source.kind == "i8"
    largest = op.function == "max"
    fill = _lowest(emitter, source) if largest else (source.zero if int8 else 0.0)
    image = framed(emitter, source, op.kernel, op.strides, op.pads, (1, 1), sides_of(result), fill)
    _emit(emitter, "MAX_POOL_2D" if largest else "AVERAGE_POOL_2D", op, image, made, int8)


def _emit(emitter: Emitter, code: str, op: Pool, image: Framed, made: int, int8: bool) -> None:
    emitter.flat.operator(
        code,
        (image.tensor,),
        made,
        options="Pool2D",
        int8=int8,
        padding=getattr(emitter.flat.schema.Padding, image.padding),
        strideH=op.strides[0],
        strideW=op.strides[1],
        filterHeight=op.kernel[0],
        filterWidth=op.kernel[1],
        fusedActivationFunction=fused(emitter, "NONE"),
    )


def _lowest(emitter: Emitter, value: Value) -> float:
    """What never wins against an element of the image: zero behind a ReLU, whose padding XNNPACK knows."""
    if value.kind == "i8":
        return 0.0
    maker = emitter.maker(value.name)
    low = maker.a if isinstance(maker, Unary) and maker.function == "clip" else getattr(maker, "clamp", OPEN).low
    return 0.0 if low is not None and low >= 0 else float(np.finfo(F).min)


def _as_depthwise(emitter: Emitter, op: Pool, source: Value, count: int) -> None:
    """A mean into another scale: every channel filtered by ones, with 1 / count as their scale; rounds once."""
    result = emitter.result(op)
    channels = source.shape[1]
    image = framed(emitter, source, op.kernel, op.strides, op.pads, (1, 1), sides_of(result), source.zero)
    scale = F(1) / F(count)
    ones = np.ones((1, *op.kernel, channels), np.int8)
    weight = emitter.flat.tensor(f"{op.name}/ones", ones.shape, "int8", Scales(np.array([scale]), np.zeros(1)), ones)
    sums = Scales(np.array([F(source.scale) * scale]), np.zeros(1))
    bias = emitter.flat.tensor(f"{op.name}/bias", (channels,), "int32", sums, np.zeros(channels, np.int32))
    emitter.flat.operator(
        "DEPTHWISE_CONV_2D",
        (image.tensor, weight, bias),
        emitter.new(op.output, IMAGE),
        options="DepthwiseConv2D",
        int8=True,
        padding=getattr(emitter.flat.schema.Padding, image.padding),
        strideH=op.strides[0],
        strideW=op.strides[1],
        depthMultiplier=1,
        fusedActivationFunction=fused(emitter, "NONE"),
    )


def _in_floats(emitter: Emitter, op: Pool, counts: Array) -> None:
    """A mean of codes over windows of different counts: DEQUANTIZE, the mean of floats, QUANTIZE."""
    source = emitter.source(op)
    tensor = emitter.tensor(source.name, IMAGE)
    reals = Value(f"{source.name}/real", source.shape, "f32")
    real = emitter.real(source, tensor)
    made = emitter.new(op.output, IMAGE)
    mean_of = emitter.like(reals, f"{op.output}/real", emitter.flat.shape(made))
    _scaled_mean(emitter, op, reals, real, counts, mean_of)
    emitter.flat.operator("QUANTIZE", (mean_of,), made, options="Quantize", version=1)
    emitter.notes.append(f"{op.name!r} works in float: its windows hold different numbers of elements")


def _scaled_mean(emitter: Emitter, op: Pool, source: Value, tensor: int, counts: Array, made: int) -> None:
    """Means over zeros around the image, times what each window's true count makes of them."""
    out = (counts.shape[0], counts.shape[1])
    sides = sides_of(source)
    behind = [max((out[i] - 1) * op.strides[i] + op.kernel[i] - sides[i] - op.pads[i], 0) for i in (0, 1)]
    before, after = (0, op.pads[0], op.pads[1], 0), (0, behind[0], behind[1], 0)
    image = padded(emitter, source, tensor, before, after, 0.0)
    plain_mean = emitter.like(source, f"{op.output}/plain", emitter.flat.shape(made))
    _emit(emitter, "AVERAGE_POOL_2D", op, Framed(image, "VALID"), plain_mean, False)
    factors = np.float32(op.kernel[0] * op.kernel[1]) / counts.astype(F)
    constant = emitter.flat.plain(factors.reshape(1, *out, 1), "float32", "factors")
    none = fused(emitter, "NONE")
    emitter.flat.operator("MUL", (plain_mean, constant), made, options="Mul", fusedActivationFunction=none)


def mean(emitter: Emitter, op: Mean) -> None:
    """MEAN over rows and columns."""
    source, result = emitter.source(op), emitter.result(op)
    tensor = emitter.tensor(source.name, IMAGE)
    axes = emitter.flat.plain([1, 2], "int32", "axes")
    keep = len(result.shape) == 4
    made = emitter.new(op.output, IMAGE if keep else plain(2))
    emitter.flat.operator("MEAN", (tensor, axes), made, options="Reducer", int8=source.kind == "i8", keepDims=keep)
