"""Operators with constant weights: Conv, Gemm, MatMul; and MatMul of two activations.

With codes in and 8-bit weights they become integer operators. Their bias is rounded to whole steps of the sum's scale,
and one multiplier for each channel takes the sum to codes, or to reals where no QuantizeLinear follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.native.check_arithmetic import MAX_STEPS, MAX_SUM, reach
from shoestring.native.form import Array, Conv, Linear, MatMul, Op, Value
from shoestring.native.front.builder import Builder, End
from shoestring.native.front.folding import along
from shoestring.native.front.graph import Node, Quantized
from shoestring.native.front.images import as_image, window

F = np.float32
SAME_SCALE = 1e-6
"""Relative difference of a bias scale from the product of input and weight scale that float32 rounding explains."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Of one layer, output channels first.

    Args:
        real: float32.
        codes: int8 where the layer reads codes; None where it works in float.
        scale: float32 for each output channel.
        bias: name of the constant, empty for none.
        beta: factor on the bias.
    """

    real: Array
    codes: Array | None
    scale: Array
    bias: str
    beta: float = 1.0


def conv(builder: Builder, node: Node) -> None:
    """Conv over images, or over sequences as images of one row."""
    weights = _weights(builder, node, node.inputs[1], 0, node.input(2))
    source = _source(builder, node, weights)
    image = as_image(builder, source, node)
    shape = (*weights.real.shape[:2], *((1,) * (4 - weights.real.ndim)), *weights.real.shape[2:])
    fields = window(node, shape[2:], image.shape[2:])
    fields["groups"] = int(node.attributes.get("group", 1))
    del fields["kernel"]
    sides = [
        (n + fields["pads"][i] + fields["pads"][i + 2] - (shape[2 + i] - 1) * fields["dilations"][i] - 1)
        // fields["strides"][i]
        + 1
        for i, n in enumerate(image.shape[2:])
    ]
    _weighted(builder, node, Conv, image, weights, (1, shape[0], *sides), shape, fields)


def gemm(builder: Builder, node: Node) -> None:
    """Gemm with constant weights and bias."""
    attributes = node.attributes
    if attributes.get("transA", 0):
        raise ModelError("its transA is set; it must be 0")
    axis = 0 if attributes.get("transB", 0) else 1
    alpha, beta = float(attributes.get("alpha", 1.0)), float(attributes.get("beta", 1.0))
    weights = _weights(builder, node, node.inputs[1], axis, node.input(2), alpha, beta)
    _linear(builder, node, weights, node.outputs[0])


def matmul(builder: Builder, node: Node) -> None:
    """MatMul with constant weights, and the bias that alone is added to it; or of two activations."""
    if builder.constant(node.inputs[0]) is not None:
        raise ModelError(f"its first input {node.inputs[0]!r} is constant; only the second may be")
    if builder.constant(node.inputs[1]) is None:
        _two_activations(builder, node)
        return
    rank = builder.graph.constants[node.inputs[1]].ndim
    if rank != 2:
        raise ModelError(f"its weight {node.inputs[1]!r} has {rank} axes; it must have 2")
    bias, output = _added_bias(builder, node)
    _linear(builder, node, _weights(builder, node, node.inputs[1], 1, bias), output)


def _added_bias(builder: Builder, node: Node) -> tuple[str, str]:
    """Name of a bias that alone is added to the product, and of the sum; or no name and the product."""
    output = node.outputs[0]
    adder = builder.sole_reader(output)
    if adder is None or adder.op_type != "Add":
        return "", output
    name = adder.inputs[0] if adder.inputs[1] == output else adder.inputs[1]
    value, channels = builder.constant(name), builder.shape(output)[-1]
    if value is None or value.size != channels or value.shape[-1:] != (channels,):
        return "", output
    if builder.shape(adder.outputs[0]) != builder.shape(output):
        return "", output
    builder.absorbed.add(adder)
    return name, adder.outputs[0]


def _linear(builder: Builder, node: Node, weights: Weights, output: str) -> None:
    source = _source(builder, node, weights)
    shape = (*source.shape[:-1], len(weights.real))
    _weighted(builder, node, Linear, source, weights, shape, weights.real.shape, {}, output)


def _source(builder: Builder, node: Node, weights: Weights) -> Value:
    """What a layer reads: codes for 8-bit weights, else reals."""
    return builder.real(node.inputs[0]) if weights.codes is None else builder.codes[node.inputs[0]]


def _weights(
    builder: Builder, node: Node, name: str, axis: int, bias: str, alpha: float = 1.0, beta: float = 1.0
) -> Weights:
    """Weights with their output channels in front, 8-bit where they were written so. Raises ModelError."""
    real = builder.constant(name)
    if real is None:
        raise ModelError(f"its weight {name!r} is not constant")
    if real.dtype != F:
        raise ModelError(f"its weight {name!r} is {real.dtype}; it must be float32")
    real = np.ascontiguousarray(np.moveaxis(real * F(alpha), axis, 0))
    written = builder.graph.quantized.get(name)
    if written is None or written.codes.dtype not in (np.int8, np.uint8):
        return Weights(real, None, np.ones(len(real), F), bias, beta)
    if node.inputs[0] not in builder.codes:
        builder.notes.append(f"{node} has 8-bit weights but a float input: it works in float")
        return Weights(real, None, np.ones(len(real), F), bias, beta)
    codes = np.moveaxis(_int8(name, written), axis, 0)
    if written.axis is not None and written.axis != axis:
        raise ModelError(f"its weight {name!r} has scales along axis {written.axis}; they must be along axis {axis}")
    if not (np.isfinite(alpha) and alpha > 0):
        raise ModelError(f"its alpha is {alpha}; with 8-bit weights it must be above zero")
    scale = np.asarray(np.broadcast_to(written.scale, (len(codes),)) * F(alpha), dtype=F)
    return Weights(real, np.ascontiguousarray(codes), scale, bias, beta)


def _int8(name: str, written: Quantized) -> Array:
    """Integers about a zero point of 0, shifted there where they fit."""
    shifted = written.codes.astype(np.int64) - along(written.zero, written.axis, written.codes.ndim)
    if written.zero.any() and (shifted.min() < -128 or shifted.max() > 127):
        zero = int(written.zero.reshape(-1)[np.flatnonzero(written.zero)[0]])
        raise ModelError(
            f"its weight {name!r} has the zero point {zero} and spans {shifted.min()}..{shifted.max()} about it; "
            "8-bit weights have the zero point 0, or fit -128..127 when shifted to it"
        )
    if shifted.max(initial=0) > 127:
        raise ModelError(f"its weight {name!r} is uint8 with values up to {shifted.max()}; they must fit int8")
    return shifted.astype(np.int8)


def _weighted(
    builder: Builder,
    node: Node,
    op_type: type[Op],
    source: Value,
    weights: Weights,
    shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    fields: dict[str, Any],
    output: str = "",
) -> None:
    """Emit a Conv or Linear and enter its result under the graph's shape."""
    end = builder.end(output or node.outputs[0])
    if weights.codes is None:
        end = end.in_reals()
        weight = weights.real
        fields |= {"bias": _bias(builder, weights, len(weight)).astype(F), "multiplier": None}
    else:
        weight = weights.codes
        fields |= _integer(builder, node, source, weights, weight, end)
    made = builder.new(end.tensor, shape, end.affine)
    weight = np.ascontiguousarray(weight.reshape(weight_shape))
    builder.emit(op_type, node.name, (source,), made, weight=weight, clamp=end.clamp(), **fields)
    builder.finish(end, builder.reshaped(made, f"{node.name}/shape", builder.shape(end.tensor)))


def _integer(builder: Builder, node: Node, source: Value, weights: Weights, codes: Array, end: End) -> dict[str, Array]:
    """Bias and multiplier of an integer operator. Raises ModelError where sums can leave their range."""
    scale = np.asarray(F(source.scale) * weights.scale, dtype=F)
    multiplier = scale if end.affine is None else np.asarray(scale / F(end.affine.scale), dtype=F)
    good = np.isfinite(multiplier) & (multiplier > 0)
    if not good.all():
        raise ModelError(f"it has the multiplier {multiplier[~good][0]}; multipliers are finite and above zero")
    bias = _whole_bias(builder, node, weights, scale)
    magnitude = np.abs(codes.reshape(len(codes), -1).astype(np.int64)).sum(axis=1) * reach(source.zero)
    bound = np.abs(bias) + magnitude
    if not (bound <= MAX_SUM).all():
        raise ModelError(f"its int32 sums can reach {bound.max():.0f}; the limit is {MAX_SUM}")
    steps = float((bound * multiplier).max())
    limit = MAX_STEPS if end.affine is not None else float(np.finfo(F).max)
    if steps >= limit:
        raise ModelError(f"its scaled sums can reach {steps:.4g}; they must stay below {limit:.4g}")
    return {"bias": bias.astype(np.int32), "multiplier": multiplier}


def _bias(builder: Builder, weights: Weights, channels: int) -> Array:
    """In reals, float64, one for each channel."""
    if not weights.bias:
        return np.zeros(channels)
    value = builder.constant(weights.bias)
    if value is None:
        raise ModelError(f"its bias {weights.bias!r} is not constant")
    if value.size not in (1, channels) or (value.size > 1 and value.shape[-1] != channels):
        raise ModelError(f"its bias {weights.bias!r} has the shape {value.shape}; it must be ({channels},)")
    return np.asarray(np.broadcast_to(value.reshape(-1).astype(np.float64) * weights.beta, (channels,)))


def _whole_bias(builder: Builder, node: Node, weights: Weights, scale: Array) -> Array:
    """In steps of the sum's scale: float64 whole numbers of any size."""
    real = _bias(builder, weights, len(scale))
    written = builder.graph.quantized.get(weights.bias)
    if written is None:
        if real.any():
            builder.notes.append(f"{node} had a float bias beside 8-bit weights: it was rounded to the sum's scale")
        return np.rint(real / scale.astype(np.float64))
    steps = (written.codes.astype(np.float64) - written.zero).reshape(-1)
    own = np.broadcast_to(written.scale, scale.shape).astype(np.float64) * weights.beta
    if np.allclose(own, scale.astype(np.float64), rtol=SAME_SCALE, atol=0.0):
        return np.broadcast_to(steps, scale.shape)
    return np.rint(np.broadcast_to(steps * written.scale * weights.beta, scale.shape) / scale.astype(np.float64))


def _two_activations(builder: Builder, node: Node) -> None:
    pair = node.inputs[:2]
    codes = [builder.codes.get(name) for name in pair]
    shape = builder.shape(node.outputs[0])
    ranks = [len(builder.shape(name)) for name in pair]
    if min(ranks) < 2:
        raise ModelError(f"its inputs have {ranks} axes; they must have 2 or more")
    if codes[0] is None or codes[1] is None:
        made = builder.new(node.outputs[0], shape, None)
        builder.reals[node.outputs[0]] = builder.emit(MatMul, node.name, [builder.real(name) for name in pair], made)
        return
    affine = builder.affine(node.outputs[0])
    multiplier = F(codes[0].scale) * F(codes[1].scale)
    if affine is not None:
        multiplier = multiplier / F(affine.scale)
    made = builder.new(node.outputs[0], shape, affine)
    builder.emit(MatMul, node.name, [value for value in codes if value is not None], made, multiplier=float(multiplier))
    (builder.reals if affine is None else builder.codes)[node.outputs[0]] = made
