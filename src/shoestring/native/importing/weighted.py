"""Conv, Gemm and MatMul: integer where codes meet 8-bit weights, float elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from shoestring.native.form import Array, Clamp, Conv, Linear, MatMul, Op, Value
from shoestring.native.importing.graph import attribute
from shoestring.native.importing.reader import Reader, Refused, code_clamp, real_clamp
from shoestring.native.importing.window import pads_of

MOST_BIAS = 2**31 - 1


@dataclass(frozen=True)
class Weights:
    """Weights of a layer, output channels first.

    Args:
        integers: int8, or None for a float layer.
        scale: float32, one a channel; None for a float layer.
        real: float32.
    """

    integers: Array | None
    scale: Array | None
    real: Array


def conv(reader: Reader, node: onnx.NodeProto) -> None:
    """Conv with two spatial axes, or one (which becomes a row)."""
    weights = _weights(reader, node.input[1], lambda w: w, 0)
    if weights.real.ndim != 4:
        raise Refused(f"its kernel has {weights.real.ndim - 2} spatial axes, not 2")
    shape = reader.graph.shape(node.input[0])
    kernel, strides, pads, dilations = pads_of(node, shape[2:], weights.real.shape[2:])
    settings = {
        "strides": strides,
        "pads": pads,
        "dilations": dilations,
        "groups": int(attribute(node, "group", 1)),
    }
    bias = node.input[2] if len(node.input) > 2 and node.input[2] else None
    _layer(reader, node, node.output[0], weights, _bias(reader, bias, len(weights.real)), bias, settings)
    del kernel


def gemm(reader: Reader, node: onnx.NodeProto) -> None:
    """Gemm with constant weights."""
    if attribute(node, "transA", 0):
        raise Refused("transA is set")
    alpha, beta = np.float32(attribute(node, "alpha", 1.0)), np.float32(attribute(node, "beta", 1.0))
    transposed = bool(attribute(node, "transB", 0))
    weights = _weights(reader, node.input[1], (lambda w: w) if transposed else (lambda w: w.T), 0 if transposed else 1)
    if alpha != 1:
        scale = None if weights.scale is None else weights.scale * alpha
        weights = Weights(weights.integers, scale, weights.real * alpha)
    name = node.input[2] if len(node.input) > 2 and node.input[2] else None
    bias = _bias(reader, name, len(weights.real)) * beta
    _layer(reader, node, node.output[0], weights, bias, name if alpha == 1 and beta == 1 else None, None)


def matmul(reader: Reader, node: onnx.NodeProto) -> None:
    """MatMul by a constant matrix (an Add of a constant row behind it is its bias), or of two activations."""
    second = reader.graph.real_constant(node.input[1])
    if second is None:
        _two_activations(reader, node)
        return
    if second.ndim != 2:
        raise Refused(f"its constant has {second.ndim} axes, not 2")
    weights = _weights(reader, node.input[1], lambda w: w.T, 1)
    name, bias = node.output[0], np.zeros(len(weights.real), np.float32)
    add = reader.graph.only_reader(name)
    if add is not None and add.op_type == "Add":
        other = add.input[1] if add.input[0] == name else add.input[0]
        row = reader.graph.real_constant(other)
        if row is not None and row.size == len(bias) and row.shape[-1:] == bias.shape:
            bias, name = row.reshape(-1).astype(np.float32), add.output[0]
            reader.take([add])
    _layer(reader, node, name, weights, bias, None, None)


def _weights(reader: Reader, name: str, turn: object, axis: int) -> Weights:
    real = reader.graph.real_constant(name)
    if real is None:
        raise Refused("its weights are not constant")
    turned = turn(real.astype(np.float32))  # type: ignore[operator]
    quantized = reader.graph.quantized.get(name)
    if quantized is None:
        return Weights(None, None, turned)
    integers, zero = quantized.integers, quantized.zero
    if integers.dtype == np.uint8 and np.all(zero == 128):
        integers, zero = (integers.astype(np.int16) - 128).astype(np.int8), np.zeros_like(zero, np.int8)
    if integers.dtype != np.int8 or np.any(zero != 0):
        return Weights(None, None, turned)
    if quantized.scale.ndim and quantized.axis % integers.ndim != axis:
        return Weights(None, None, turned)
    scale = np.broadcast_to(quantized.scale.astype(np.float32).reshape(-1), (len(turned),)).astype(np.float32)
    if not np.all(np.isfinite(scale) & (scale > 0)):
        raise Refused("a scale of its weights is not above zero")
    return Weights(turn(integers), scale, turned)  # type: ignore[operator]


def _bias(reader: Reader, name: str | None, count: int) -> Array:
    if name is None:
        return np.zeros(count, np.float32)
    found = reader.graph.real_constant(name)
    if found is None:
        raise Refused("its bias is not constant")
    return np.asarray(np.broadcast_to(found.astype(np.float32).reshape(-1), (count,)))


def _layer(
    reader: Reader,
    node: onnx.NodeProto,
    result: str,
    weights: Weights,
    bias: Array,
    bias_name: str | None,
    settings: dict[str, object] | None,
) -> None:
    """Add the operator; what follows (ReLU, quantization) is taken into it.

    Args:
        result: tensor that the layer makes (behind a folded Add).
        bias_name: of the bias in the graph, where its integers may be used as they are.
        settings: of a convolution; None for Linear.
    """
    source = reader.integer(node.input[0])
    after, limits, passed = reader.activation(result)
    if source is None or weights.integers is None or weights.scale is None:
        value = Value(after, reader.graph.shape(after), "f32")
        op = _make(
            node.name, reader.real(node.input[0]), after, weights.real, bias, None, real_clamp(limits), settings
        )
        reader.take(passed)
        reader.add(op, value)
        return
    summed = np.float32(source.scale) * weights.scale
    integers = _integer_bias(reader, node, bias, bias_name, summed)
    target = reader.quantized_as(after)
    if target is not None:
        quantizer, value = target
        multiplier = (summed / np.float32(value.scale)).astype(np.float32)
        reader.take([*passed, quantizer])
        clamp = code_clamp(value, limits)
    else:
        value, multiplier, clamp = Value(after, reader.graph.shape(after), "f32"), summed, real_clamp(limits)
        reader.take(passed)
    op = _make(node.name, source.name, value.name, weights.integers, integers, multiplier, clamp, settings)
    reader.add(op, value)


def _make(
    name: str,
    source: str,
    output: str,
    weight: Array,
    bias: Array,
    multiplier: Array | None,
    clamp: Clamp,
    settings: dict[str, object] | None,
) -> Op:
    weight = np.ascontiguousarray(weight)
    if settings is None:
        return Linear(name, (source,), output, weight, bias, multiplier, clamp)
    return Conv(name, (source,), output, weight, bias, multiplier, clamp=clamp, **settings)  # type: ignore[arg-type]


def _integer_bias(reader: Reader, node: onnx.NodeProto, bias: Array, name: str | None, scale: Array) -> Array:
    """The bias in the scale of the sums; the graph's own integers where they are in that scale."""
    quantized = reader.graph.quantized.get(name or "")
    if quantized is not None and quantized.integers.dtype == np.int32 and not np.any(quantized.zero):
        theirs = np.broadcast_to(quantized.scale.astype(np.float64).reshape(-1), scale.shape)
        if np.allclose(theirs, scale, rtol=1e-5, atol=0):
            return np.ascontiguousarray(np.broadcast_to(quantized.integers.reshape(-1), scale.shape))
    rounded = np.rint(bias.astype(np.float64) / scale.astype(np.float64))
    if np.any(np.abs(rounded) > MOST_BIAS):
        raise Refused(f"a bias of {np.abs(rounded).max():.3g} in the scale of its sums exceeds int32")
    if np.any(bias):
        reader.notes.append(f"the float bias of {node.name!r} is rounded to the scale of its sums")
    return rounded.astype(np.int32)


def _two_activations(reader: Reader, node: onnx.NodeProto) -> None:
    if node.input[0] in reader.graph.constants or node.input[0] in reader.graph.quantized:
        raise Refused("its first factor is constant")
    first, second = (reader.integer(name) for name in node.input)
    result = node.output[0]
    if first is None or second is None:
        pair = tuple(reader.real(name) for name in node.input)
        reader.add(MatMul(node.name, pair, result), reader.new_real(result))
        return
    product = np.float32(first.scale) * np.float32(second.scale)
    target = reader.quantized_as(result)
    if target is None:
        value, multiplier = reader.new_real(result), product
    else:
        quantizer, value = target
        multiplier = product / np.float32(value.scale)
        reader.take([quantizer])
    reader.add(MatMul(node.name, (first.name, second.name), value.name, float(multiplier)), value)
