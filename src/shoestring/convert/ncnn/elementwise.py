"""Operators on one element at a time, and on two tensors side by side."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.convert.ncnn import ends
from shoestring.convert.ncnn.building import (
    ADD,
    DIV,
    FLOAT_MAX,
    MAX,
    MIN,
    MOST_AXES,
    MUL,
    POW,
    RDIV,
    RPOW,
    RSUB,
    SUB,
    Blob,
    Builder,
    OnGrid,
    canonical,
    lead,
)
from shoestring.convert.ncnn.layers import Param, Weight
from shoestring.native.front.graph import Node, Shape

BINARY = {"Add": ADD, "Sub": SUB, "Mul": MUL, "Div": DIV, "Pow": POW, "Max": MAX, "Min": MIN, "Sum": ADD}
_TURNED = {ADD: ADD, MUL: MUL, MAX: MAX, MIN: MIN, SUB: RSUB, DIV: RDIV, POW: RPOW}

UNARY = {
    "Abs": 0, "Neg": 1, "Floor": 2, "Ceil": 3, "Sqrt": 5, "Exp": 7, "Log": 8, "Sin": 9, "Cos": 10, "Tan": 11,
    "Asin": 12, "Acos": 13, "Atan": 14, "Reciprocal": 15,
}  # fmt: skip
"""Operations of UnaryOp."""
_SQUARE, _SQRT = 4, 5

PLAIN = {"Sigmoid": "Sigmoid", "Tanh": "TanH", "Erf": "Erf", "Softplus": "Softplus", "Mish": "Mish"}
"""Layers without parameters."""

_SIXTH_TOLERANCE = 1e-6
_ONNX_FLOAT = 1  # TensorProto.FLOAT


def binary(builder: Builder, node: Node) -> None:
    """Of two tensors; Max, Min and Sum of any number."""
    if node.op_type == "Mul" and _gated(builder, node):
        return
    names = list(node.inputs)
    shape = builder.shape(node.outputs[0])
    if len(names) == 1:
        builder.enter(node.outputs[0], builder.real(names[0]))
        return
    result: Blob | None = None
    for name in names[1:]:
        result = _pair(builder, node, (names[0], result), name, shape)
    if result is not None:
        builder.enter(node.outputs[0], result)


def _pair(builder: Builder, node: Node, first: tuple[str, Blob | None], name: str, shape: Shape) -> Blob:
    """One BinaryOp of what was made so far (or the first input) and an input."""
    operation = BINARY[node.op_type]
    start, made = first
    left, right = _scalar(builder, start) if made is None else None, _scalar(builder, name)
    if left is not None and right is None:
        return _with_scalar(builder, node, _aligned(builder, name, shape), _TURNED[operation], left)
    one = made or _aligned(builder, start, shape)
    if right is not None:
        return _with_scalar(builder, node, one, operation, right)
    other = _aligned(builder, name, shape)
    dims = np.broadcast_shapes(one.dims, other.dims)
    return builder.emit("BinaryOp", node.name, [one, other], dims, {0: operation})


def _scalar(builder: Builder, name: str) -> float | None:
    value = builder.constant(name)
    if value is None or value.size != 1:
        return None
    number = float(value.reshape(-1)[0])
    return number if math.isfinite(number) else math.copysign(FLOAT_MAX, number) if not math.isnan(number) else None


def _with_scalar(builder: Builder, node: Node, blob: Blob, operation: int, scalar: float) -> Blob:
    if operation == POW and scalar in (2.0, 0.5):
        return builder.emit("UnaryOp", node.name, [blob], blob.dims, {0: _SQUARE if scalar == 2.0 else _SQRT})
    return builder.emit("BinaryOp", node.name, [blob], blob.dims, {0: operation, 1: 1, 2: scalar})


def _aligned(builder: Builder, name: str, shape: Shape) -> Blob:
    """A tensor's blob with as many axes as the result's has: ncnn guesses what is meant by fewer."""
    blob = builder.real(name)
    own = builder.shape(name)
    full = (1,) * (len(shape) - len(own)) + own
    dims = full[lead(shape) :] or (1,)
    if len(dims) > MOST_AXES:
        if own != shape:
            raise ModelError(f"it broadcasts {own} to {shape}; ncnn has {MOST_AXES} axes: drop those of length 1")
        dims = canonical(shape)
    return builder.reshaped(blob, dims)


def _gated(builder: Builder, node: Node) -> bool:
    """x * sigmoid(x), x * hard_sigmoid(x), x * tanh(softplus(x)) are one layer each."""
    for x, gate in (node.inputs[:2], node.inputs[1::-1]):
        maker = builder.producers.get(gate)
        if maker is None or builder.constant(x) is not None:
            continue
        kind, params = _gate(builder, maker, x)
        if kind:
            blob = builder.real(x)
            builder.enter(node.outputs[0], builder.emit(kind, node.name, [blob], blob.dims, params))
            return True
    return False


def _gate(builder: Builder, maker: Node, x: str) -> tuple[str, dict[int, Param]]:
    """The layer of x times what `maker` makes of x; an empty name where there is none."""
    if maker.op_type == "Sigmoid" and maker.inputs[0] == x:
        return "Swish", {}
    if maker.op_type == "HardSigmoid" and maker.inputs[0] == x:
        slope, offset = _hard_sigmoid(maker)
        if abs(slope - 1 / 6) <= _SIXTH_TOLERANCE and offset == 0.5:
            return "HardSwish", {0: 1 / 6, 1: 0.5}
    if maker.op_type == "Tanh":
        inner = builder.producers.get(maker.inputs[0])
        if inner is not None and inner.op_type == "Softplus" and inner.inputs[0] == x:
            return "Mish", {}
    return "", {}


def _hard_sigmoid(node: Node) -> tuple[float, float]:
    return float(node.attributes.get("alpha", 0.2)), float(node.attributes.get("beta", 0.5))


def _layer(kind: str, params: Callable[[Node], dict[int, Param]]) -> Callable[[Builder, Node], None]:
    """A handler for a layer that takes one tensor and keeps its shape."""

    def handle(builder: Builder, node: Node) -> None:
        source = builder.real(node.inputs[0])
        builder.enter(node.outputs[0], builder.emit(kind, node.name, [source], source.dims, params(node)))

    return handle


def _nothing(_: Node) -> dict[int, Param]:
    return {}


def _gelu(node: Node) -> dict[int, Param]:
    return {0: 1 if str(node.attributes.get("approximate", "none")) == "tanh" else 0}


HANDLERS: dict[str, Callable[[Builder, Node], None]] = {
    **dict.fromkeys(BINARY, binary),
    **{name: _layer("UnaryOp", lambda _, code=code: {0: code}) for name, code in UNARY.items()},  # type: ignore[misc]
    **{name: _layer(kind, _nothing) for name, kind in PLAIN.items()},
    "Elu": _layer("ELU", lambda node: {0: float(node.attributes.get("alpha", 1.0))}),
    "Gelu": _layer("GELU", _gelu),
    "HardSigmoid": _layer("HardSigmoid", lambda node: dict(enumerate(_hard_sigmoid(node)))),
    "HardSwish": _layer("HardSwish", lambda _: {0: 1 / 6, 1: 0.5}),
    "LeakyRelu": _layer("ReLU", lambda node: {0: float(node.attributes.get("alpha", 0.01))}),
}


def clip(builder: Builder, node: Node) -> None:
    """ReLU and Clip that no layer before them has taken over."""
    bounds = ends.bounds_of(builder, node)
    if bounds is None:
        raise ModelError("its bounds are computed; they must be constant numbers")
    source = builder.real(node.inputs[0])
    if bounds == (0.0, math.inf):
        made = builder.emit("ReLU", node.name, [source], source.dims, bounds=(0.0, max(0.0, source.high)))
    else:
        made = builder.clamp(source, *bounds)
    builder.enter(node.outputs[0], made)


def prelu(builder: Builder, node: Node) -> None:
    """With one slope, or one for each channel."""
    slope = builder.constant(node.inputs[1])
    shape = builder.shape(node.inputs[0])
    source = builder.real(node.inputs[0])
    channels = shape[1] if len(shape) > 1 else 1
    if slope is None or slope.size not in (1, channels) or (slope.size > 1 and max(slope.shape) != channels):
        raise ModelError(f"its slopes are not constant, one or {channels}")
    if slope.size > 1 and slope.shape[-(len(shape) - 1) :][0] != channels:
        raise ModelError("its slopes do not run along the channels")
    weight = Weight(slope.reshape(-1).astype(np.float32))
    made = builder.emit("PReLU", node.name, [source], source.dims, {0: slope.size}, (weight,))
    builder.enter(node.outputs[0], made)


def identity(builder: Builder, node: Node) -> None:
    if len([name for name in node.outputs if name]) > 1:
        raise ModelError("it has a second output, which cannot go")
    if node.inputs[0] in builder.on_grid:
        builder.on_grid[node.outputs[0]] = builder.on_grid[node.inputs[0]]
    else:
        builder.enter(node.outputs[0], builder.real(node.inputs[0]))


def cast(builder: Builder, node: Node) -> None:
    """To float32, from float32 or from an input of bytes, which the runtime hands over as floats."""
    if int(node.attributes["to"]) != _ONNX_FLOAT:
        raise ModelError(f"it makes the ONNX type {node.attributes['to']}; only float32 (1) can go")
    builder.enter(node.outputs[0], builder.real(node.inputs[0]))


def quantize(builder: Builder, node: Node) -> None:
    """No layer: its tensor lies on a grid from here on."""
    grid = ends.grid_of(builder, node)
    found = builder.on_grid.get(node.inputs[0])
    if found is None or found.grid != grid:
        found = OnGrid(grid, builder.real(node.inputs[0]))
    builder.on_grid[node.outputs[0]] = found


def dequantize(builder: Builder, node: Node) -> None:
    found = builder.on_grid.get(node.inputs[0])
    if found is None:
        raise ModelError(f"its input {node.inputs[0]!r} is no quantized tensor")
    if found.grid != ends.grid_of(builder, node):
        raise ModelError("it reads codes with another scale or zero point than they were made with")
    builder.on_grid[node.outputs[0]] = found
