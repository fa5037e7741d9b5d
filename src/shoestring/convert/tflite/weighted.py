"""Conv and Linear: integer kernels with the scales of the graph, float ones where a result stays in floats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.convert.tflite.clamps import clamped
from shoestring.convert.tflite.emitter import Emitter
from shoestring.convert.tflite.flat import Scales
from shoestring.convert.tflite.layout import IMAGE, plain
from shoestring.convert.tflite.windows import framed, sides_of
from shoestring.native.form import Array, Conv, Linear, Value

F = np.float32
MAX_MULTIPLIER = 256
"""Of the scales of input and weight by that of the output. Source: google/XNNPACK, src/operators/convolution-nhwc.c."""


@dataclass(frozen=True)
class Kernel:
    """Constants of one operator.

    Args:
        source: tensor it reads.
        weight, bias: tensors.
        int8: it sums integers.
    """

    source: int
    weight: int
    bias: int
    int8: bool


def conv(emitter: Emitter, op: Conv) -> None:
    """CONV_2D, or DEPTHWISE_CONV_2D where every group has one input channel."""
    source, result = emitter.source(op), emitter.result(op)
    depthwise = op.groups > 1 and op.weight.shape[1] == 1
    order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    weight = np.ascontiguousarray(op.weight.transpose(order))
    kernel = (op.weight.shape[2], op.weight.shape[3])
    fill = source.zero if source.kind == "i8" else 0.0
    image = framed(emitter, source, kernel, op.strides, op.pads, op.dilations, sides_of(result), fill)
    made = _kernel(emitter, op, image.tensor, weight, 3 if depthwise else 0)
    fields: dict[str, Any] = {
        "padding": getattr(emitter.flat.schema.Padding, image.padding),
        "strideH": op.strides[0],
        "strideW": op.strides[1],
        "dilationHFactor": op.dilations[0],
        "dilationWFactor": op.dilations[1],
    }
    if depthwise:
        fields["depthMultiplier"] = len(op.weight) // op.groups
    code, options = ("DEPTHWISE_CONV_2D", "DepthwiseConv2D") if depthwise else ("CONV_2D", "Conv2D")

    def emit(target: int, fused: int) -> None:
        emitter.flat.operator(
            code,
            (made.source, made.weight, made.bias),
            target,
            options=options,
            int8=made.int8,
            version=_grouped_version(op, depthwise),
            fusedActivationFunction=fused,
            **fields,
        )

    clamped(emitter, op, IMAGE, op.clamp, emit)


def _grouped_version(op: Conv, depthwise: bool) -> int | None:
    """Groups of several channels need a runtime that knows them; None takes the usual version."""
    return 6 if op.groups > 1 and not depthwise else None


def linear(emitter: Emitter, op: Linear) -> None:
    """FULLY_CONNECTED; int8 with a scale for each channel as CONV_2D of 1 x 1, which every runtime has."""
    source = emitter.source(op)
    rank = len(source.shape)
    tensor = emitter.tensor(source.name, plain(rank))
    if rank == 1:
        raise ModelError("its input has one axis; rewrite it with an axis of one element in front")
    scales = weight_scales(emitter, op) if emitter.result(op).kind == "i8" else None
    if scales is not None and (scales != scales[0]).any():
        _as_conv(emitter, op, source, tensor)
        return
    made = _kernel(emitter, op, tensor, op.weight, 0)

    def emit(target: int, fused: int) -> None:
        emitter.flat.operator(
            "FULLY_CONNECTED",
            (made.source, made.weight, made.bias),
            target,
            options="FullyConnected",
            int8=made.int8,
            version=None if rank == 2 or made.int8 else 5,
            fusedActivationFunction=fused,
            keepNumDims=rank > 2,
        )

    clamped(emitter, op, plain(rank), op.clamp, emit)


def _as_conv(emitter: Emitter, op: Linear, source: Value, tensor: int) -> None:
    """(..., K) as an image (1, 1, rows, K) under filters of 1 x 1."""
    result = emitter.result(op)
    rows = source.count // source.shape[-1]
    image = emitter.reshape(tensor, source, (1, 1, rows, source.shape[-1]))
    weight = op.weight.reshape(len(op.weight), 1, 1, -1)
    made = _kernel(emitter, op, image, weight, 0)
    layout = plain(len(result.shape))

    def emit(target: int, fused: int) -> None:
        shape = (1, 1, rows, len(op.weight))
        raw = emitter.like(result, f"{op.output}/image", shape)
        emitter.flat.operator(
            "CONV_2D",
            (made.source, made.weight, made.bias),
            raw,
            options="Conv2D",
            int8=True,
            padding=emitter.flat.schema.Padding.VALID,
            strideH=1,
            strideW=1,
            fusedActivationFunction=fused,
        )
        sides = emitter.flat.plain(list(result.shape), "int32", "sides")
        emitter.flat.operator(
            "RESHAPE", (raw, sides), target, options="Reshape", int8=True, newShape=list(result.shape)
        )

    clamped(emitter, op, layout, op.clamp, emit)


def _kernel(emitter: Emitter, op: Conv | Linear, tensor: int, weight: Array, axis: int) -> Kernel:
    """Weights and bias as tensors, and what the kernel reads.

    Args:
        emitter: to emit to.
        op: the operator.
        tensor: its source.
        weight: in TFLite's order.
        axis: of the output channels in it.
    """
    flat, source, result = emitter.flat, emitter.source(op), emitter.result(op)
    if source.kind == "f32":
        weights = emitter.floats(f"{op.name}/weight", weight)
        return Kernel(tensor, weights, flat.tensor(f"{op.name}/bias", op.bias.shape, "float32", data=op.bias), False)
    scale = weight_scales(emitter, op)
    sums = np.asarray(F(source.scale) * scale, dtype=F)
    if (scale == scale[0]).all():
        scales = Scales(scale[:1], np.zeros(1), axis)
    else:
        scales = Scales(scale, np.zeros(len(scale)), axis)
    codes = flat.tensor(f"{op.name}/weight", weight.shape, "int8", scales, weight)
    if result.kind == "i8":
        own = Scales(sums[:1], np.zeros(1)) if len(scales.scale) == 1 else Scales(sums, np.zeros(len(sums)))
        return Kernel(tensor, codes, flat.tensor(f"{op.name}/bias", op.bias.shape, "int32", own, op.bias), True)
    # TFLite's integer kernels give int8 only: the same numbers are multiplied as floats.
    reals = emitter.real(source, tensor)
    weights = flat.tensor(f"{op.name}/weight/real", weight.shape, "float32")
    flat.operator("DEQUANTIZE", (codes,), weights, options="Dequantize", version=5 if len(scales.scale) > 1 else 2)
    bias = (op.bias.astype(np.float64) * sums.astype(np.float64)).astype(F)
    emitter.notes.append(f"{op.name!r} multiplies 8-bit numbers as floats: its result is not rounded to 8 bits")
    return Kernel(reals, weights, flat.tensor(f"{op.name}/bias", bias.shape, "float32", data=bias), False)


def weight_scales(emitter: Emitter, op: Conv | Linear) -> Array:
    """Of the weights of an integer operator, float32 for each output channel: the graph's own.

    Raises:
        ModelError: the operator's multipliers were not made of them.
    """
    if op.multiplier is None:
        raise ModelError("it has no scales")
    source, result = emitter.source(op), emitter.result(op)
    divisor = F(result.scale) if result.kind == "i8" else F(1)
    given = emitter.weight_scales.get(op.name)
    if given is None or given.shape != op.multiplier.shape:
        raise ModelError("the scales of its weights are not known")
    if not np.array_equal(np.asarray(F(source.scale) * given, dtype=F) / divisor, op.multiplier):
        raise ModelError("the scales of its weights do not give its multipliers")
    if result.kind == "i8" and not (op.multiplier < MAX_MULTIPLIER).all():
        raise ModelError(
            f"it has the multiplier {op.multiplier.max():.4g}; LiteRT takes less than {MAX_MULTIPLIER}: "
            "rewrite it with a larger scale for its result"
        )
    return given
