"""Operators on one element at a time, and softmax."""

from __future__ import annotations

import math

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.native.form import Binary, Clamp, Softmax, Table, Unary, Value
from shoestring.native.front.builder import Affine, Builder, affine_of_value, code_of
from shoestring.native.front.graph import Node, Quantized

F = np.float32

KINDS = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}
FUNCTIONS = {
    "Sigmoid": "sigmoid",
    "HardSwish": "hard_swish",
    "Tanh": "tanh",
    "Exp": "exp",
    "Sqrt": "sqrt",
    "Neg": "neg",
    "Abs": "abs",
}
SIXTH_TOLERANCE = 1e-6
ONNX_FLOAT = 1  # TensorProto.FLOAT


def binary(builder: Builder, node: Node) -> None:
    """Add, Sub, Mul, Div of two tensors, or of one and a constant."""
    if node.op_type == "Mul" and _gated(builder, node):
        return
    names = node.inputs[:2]
    for name in names:
        _float_or_fail(builder, name)
    constants = [name for name in names if builder.constant(name) is not None]
    end = builder.end(node.outputs[0])
    if end.affine is not None and node.op_type != "Div" and _whole(builder, node, names, end.affine, end.clamp()):
        builder.finish(end, builder.codes[end.tensor])
        return
    end = end.in_reals()
    sources = [builder.real(name) for name in names if name not in constants]
    constant = builder.constant(constants[0]) if constants else None
    made = builder.new(end.tensor, builder.shape(end.tensor), None)
    fields = {"constant": constant, "swapped": bool(constants) and names[0] in constants}
    builder.emit(Binary, node.name, sources, made, kind=KINDS[node.op_type], clamp=end.clamp(), **fields)
    builder.finish(end, made)


def _whole(builder: Builder, node: Node, names: tuple[str, ...], affine: Affine, clamp: Clamp) -> bool:
    """Emit an integer operator where both sides are codes; the result is entered under its end."""
    sources: list[Value] = []
    fields: dict[str, object] = {}
    for place, name in enumerate(names):
        written = builder.graph.quantized.get(name)
        if name in builder.codes:
            sources.append(builder.codes[name])
        elif written is not None and _byte(written):
            shift = 128 if written.codes.dtype == np.int8 else 0
            codes = (written.codes.astype(np.int16) + shift).astype(np.uint8)
            fields = {"constant": codes, "constant_scale": float(written.scale), "swapped": place == 0}
            fields["constant_zero"] = int(written.zero) + shift
        else:
            return False
    end = builder.end(node.outputs[0]).tensor
    made = builder.new(end, builder.shape(end), affine)
    builder.codes[end] = builder.emit(Binary, node.name, sources, made, kind=KINDS[node.op_type], clamp=clamp, **fields)
    return True


def _byte(written: Quantized) -> bool:
    return written.axis is None and written.codes.dtype in (np.int8, np.uint8)


def _float_or_fail(builder: Builder, name: str) -> None:
    dtype = builder.graph.dtypes.get(name, "float32")
    if dtype != "float32":
        raise ModelError(f"its input {name!r} is {dtype}; it must be float32")


def _gated(builder: Builder, node: Node) -> bool:
    """x * sigmoid(x) or x * hard_sigmoid(x), written as two nodes, is one function."""
    for x, gate in (node.inputs[:2], node.inputs[1::-1]):
        maker = builder.producers.get(gate)
        if maker is None or builder.constant(x) is not None or not _same(builder, maker.inputs[0], x):
            continue
        function = "silu" if maker.op_type == "Sigmoid" else "hard_swish"
        if maker.op_type == "HardSigmoid":
            slope, offset = _hard_sigmoid(node=maker)
            if abs(slope - 1 / 6) > SIXTH_TOLERANCE or offset != 0.5:
                continue
        elif maker.op_type != "Sigmoid":
            continue
        _emit_unary(builder, node, x, function)
        return True
    return False


def _same(builder: Builder, one: str, other: str) -> bool:
    """Whether two names stand for one tensor."""
    for names in (builder.codes, builder.reals):
        if one in names and names.get(other) is names[one]:
            return True
    return one == other


def _hard_sigmoid(node: Node) -> tuple[float, float]:
    return float(node.attributes.get("alpha", 0.2)), float(node.attributes.get("beta", 0.5))


def _emit_unary(builder: Builder, node: Node, tensor: str, function: str, a: float = 0.0, b: float = 0.0) -> None:
    _float_or_fail(builder, tensor)
    source = builder.real(tensor)
    made = builder.new(node.outputs[0], source.shape, None)
    builder.reals[node.outputs[0]] = builder.emit(Unary, node.name, (source,), made, function=function, a=a, b=b)


def unary(builder: Builder, node: Node) -> None:
    """Functions without parameters."""
    _emit_unary(builder, node, node.inputs[0], FUNCTIONS[node.op_type])


def hard_sigmoid(builder: Builder, node: Node) -> None:
    slope, offset = _hard_sigmoid(node)
    _emit_unary(builder, node, node.inputs[0], "hard_sigmoid", slope, offset)


def leaky_relu(builder: Builder, node: Node) -> None:
    _emit_unary(builder, node, node.inputs[0], "leaky_relu", float(node.attributes.get("alpha", 0.01)))


def prelu(builder: Builder, node: Node) -> None:
    """With one slope for all channels."""
    slope = builder.constant(node.inputs[1])
    if slope is None or slope.size == 0 or (slope != slope.reshape(-1)[0]).any():
        raise ModelError("its slopes are not one constant; one slope for all channels can be compiled")
    _emit_unary(builder, node, node.inputs[0], "leaky_relu", float(slope.reshape(-1)[0]))


def clip(builder: Builder, node: Node) -> None:
    """ReLU and Clip that no operator before them has taken over."""
    bounds = builder.bounds(node)
    if bounds is None:
        raise ModelError("its bounds are not constant numbers")
    low, high = bounds
    codes = builder.codes.get(node.inputs[0])
    if codes is not None and low in (None, 0.0) and high is None:
        # Zero is a code: the result needs no other scale.
        table = np.arange(256) if low is None else np.maximum(np.arange(256), code_of(0.0, affine_of_value(codes)))
        made = builder.like(codes, node.outputs[0], codes.shape)
        builder.codes[node.outputs[0]] = builder.emit(Table, node.name, (codes,), made, table=table.astype(np.uint8))
        return
    infinite = (-math.inf if low is None else low, math.inf if high is None else high)
    _emit_unary(builder, node, node.inputs[0], "clip", *infinite)


def softmax(builder: Builder, node: Node) -> None:
    """Over one axis; before operator set 13 over all axes from one on."""
    shape = builder.shape(node.inputs[0])
    old = builder.graph.opset < 13
    axis = int(node.attributes.get("axis", 1 if old else -1))
    if not -len(shape) <= axis < len(shape):
        raise ModelError(f"its axis is {axis}; its input has {len(shape)} axes")
    axis %= len(shape)
    source = builder.real(node.inputs[0])
    joined = old and math.prod(shape[axis:]) != shape[axis]
    if joined:
        flat = (math.prod(shape[:axis]), math.prod(shape[axis:]))
        source, axis = builder.reshaped(source, f"{node.name}/flat", flat), 1
    made = builder.emit(Softmax, node.name, (source,), builder.like(source, node.outputs[0], source.shape), axis=axis)
    builder.reals[node.outputs[0]] = builder.reshaped(made, f"{node.name}/shape", shape)


def identity(builder: Builder, node: Node) -> None:
    """Identity, Dropout and a Cast of float32 to itself; a Cast of 8-bit integers is a DequantizeLinear."""
    if len([name for name in node.outputs if name]) > 1:
        raise ModelError("it has a second output, which cannot be compiled")
    builder.alias(node.outputs[0], node.inputs[0])


def cast(builder: Builder, node: Node) -> None:
    source, target = builder.graph.dtypes.get(node.inputs[0], ""), int(node.attributes["to"])
    if target != ONNX_FLOAT or source not in ("float32", "uint8", "int8"):
        raise ModelError(f"it turns {source or 'an unknown type'} into the ONNX type {target}; only float32 is made")
    if source == "float32":
        builder.alias(node.outputs[0], node.inputs[0])
        return
    zero = 128 if source == "int8" else 0
    quantized_as(builder, node.inputs[0], node.outputs[0], Affine(1.0, zero))


def quantized_as(builder: Builder, integers: str, tensor: str, affine: Affine) -> None:
    """A float tensor is the dequantized form of integers. Raises ModelError where those have another scale."""
    if integers not in builder.integers:
        raise ModelError(f"its input {integers!r} has no scale")
    value = builder.integers[integers]
    if affine_of_value(value) != affine:
        raise ModelError(
            f"it reads {integers!r} with scale {affine.scale}, code zero {affine.zero}; "
            f"that was made with {value.scale}, {value.zero}"
        )
    builder.codes[tensor] = value


def quantize_linear(builder: Builder, node: Node) -> None:
    affine, tensor = builder.affine_of_node(node), node.inputs[0]
    codes = builder.codes.get(tensor)
    if codes is not None and affine_of_value(codes) == affine:
        builder.integers[node.outputs[0]] = codes
    else:
        builder.integers[node.outputs[0]] = builder.quantize(node.name, builder.real(tensor), node.outputs[0], affine)


def dequantize_linear(builder: Builder, node: Node) -> None:
    quantized_as(builder, node.inputs[0], node.outputs[0], builder.affine_of_node(node))
