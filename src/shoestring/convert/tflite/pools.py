"""Pools and means over images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.convert.tflite.clamps import fused
from shoestring.convert.tflite.emitter import Emitter
from shoestring.convert.tflite.flat import Scales
from shoestring.convert.tflite.layout import IMAGE, plain
from shoestring.convert.tflite.windows import framed, sides_of
from shoestring.native.form import Array, Mean, Pool, Value

F = np.float32


def pool(emitter: Emitter, op: Pool) -> None:
    """MAX_POOL_2D or AVERAGE_POOL_2D."""
    if op.function == "max":
        _pool(emitter, op, emitter.new(op.output, IMAGE))
        return
    source, result = emitter.source(op), emitter.result(op)
    counts = window_counts(op, sides_of(source), sides_of(result))
    uneven = not _left_out(op, counts) and bool((counts != counts.flat[0]).any())
    if uneven:
        raise ModelError(
            f"its windows hold {counts.min()} to {counts.max()} elements in a way that TFLite's padding cannot say; "
            "rewrite it with pads that are even, or as a Pad and a pool without pads"
        )
    if source.kind == "i8" and (source.scale, source.zero) != (result.scale, result.zero):
        if _left_out(op, counts) and (counts != counts.flat[0]).any():
            _two_steps(emitter, op, source)
        else:
            _as_depthwise(emitter, op, source, int(counts.flat[0]))
        return
    _pool(emitter, op, emitter.new(op.output, IMAGE))


def window_counts(op: Pool, sides: tuple[int, int], out: tuple[int, int]) -> Array:
    """How many elements each window's sum is divided by: (rows, columns)."""
    lines = []
    for i in (0, 1):
        first = np.arange(out[i]) * op.strides[i] - op.pads[i]
        low, high = (-op.pads[i], sides[i] + op.pads[i + 2]) if op.count_pads else (0, sides[i])
        lines.append(np.minimum(first + op.kernel[i], high) - np.maximum(first, low))
    return np.multiply.outer(lines[0], lines[1])


def _left_out(op: Pool, counts: Array) -> bool:
    """Whether TFLite's SAME, which leaves padding out of the count, counts so too."""
    return not op.count_pads or bool((counts == op.kernel[0] * op.kernel[1]).all())


def _pool(emitter: Emitter, op: Pool, made: int) -> None:
    source, result = emitter.source(op), emitter.result(op)
    int8 = source.kind == "i8"
    largest = op.function == "max"
    fill = _lowest(source) if largest else (source.zero if int8 else 0.0)
    image = framed(emitter, source, op.kernel, op.strides, op.pads, (1, 1), sides_of(result), fill)
    if not largest and image.padding == "VALID" and not op.count_pads and _outside(op, source, result):
        raise ModelError("it leaves its padding out of the mean; rewrite it with pads that TFLite's SAME gives")
    if not largest and image.padding == "SAME" and op.count_pads and _outside(op, source, result):
        raise ModelError("it counts its padding in; rewrite it as a Pad and a pool without pads")
    emitter.flat.operator(
        "MAX_POOL_2D" if largest else "AVERAGE_POOL_2D",
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


def _outside(op: Pool, source: Value, result: Value) -> bool:
    """Whether some window reaches beyond the image."""
    sides, out = sides_of(source), sides_of(result)
    ends = [(out[i] - 1) * op.strides[i] + op.kernel[i] - op.pads[i] for i in (0, 1)]
    return any(op.pads[:2]) or any(ends[i] > sides[i] for i in (0, 1))


def _lowest(value: Value) -> float:
    """What never wins against an element of the image."""
    return 0.0 if value.kind == "i8" else float(np.finfo(F).min)


def _as_depthwise(emitter: Emitter, op: Pool, source: Value, count: int) -> None:
    """A mean into another scale: every channel filtered by ones, with 1 / count as their scale; rounds once."""
    result = emitter.result(op)
    channels = source.shape[1]
    image = framed(
        emitter, source, op.kernel, op.strides, op.pads, (1, 1), sides_of(result), source.zero
    )
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


def _two_steps(emitter: Emitter, op: Pool, source: Value) -> None:
    """A mean in the source's scale, then another scale: rounds twice."""
    result = emitter.result(op)
    between = emitter.codes(f"{op.output}/mean", _shape(result), source.scale, source.zero)
    _pool(emitter, replace(op), between)
    emitter.flat.operator("QUANTIZE", (between,), emitter.new(op.output, IMAGE), options="Quantize", int8=True)
    emitter.notes.append(f"{op.name!r} rounds twice: its mean and its new scale are two operators in TFLite")


def _shape(value: Value) -> tuple[int, ...]:
    return tuple(value.shape[axis] for axis in IMAGE)


def mean(emitter: Emitter, op: Mean) -> None:
    """MEAN over rows and columns."""
    source, result = emitter.source(op), emitter.result(op)
    tensor = emitter.tensor(source.name, IMAGE)
    axes = emitter.flat.plain([1, 2], "int32", "axes")
    keep = len(result.shape) == 4
    made = emitter.new(op.output, IMAGE if keep else plain(2))
    emitter.flat.operator(
        "MEAN", (tensor, axes), made, options="Reducer", int8=source.kind == "i8", keepDims=keep
    )
