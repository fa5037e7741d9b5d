"""Operators that work element by element."""

from __future__ import annotations

import numpy as np
import onnx

from shoestring.native.form import Binary, Op, Unary
from shoestring.native.importing.graph import attribute
from shoestring.native.importing.reader import Reader, Refused, clip_limits, code_clamp, real_clamp

PLAIN = {"Sigmoid": "sigmoid", "Tanh": "tanh", "Exp": "exp", "Sqrt": "sqrt", "Neg": "neg", "Abs": "abs", "HardSwish": "hard_swish"}
KINDS = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}
INTEGER = ("add", "sub", "mul")


def unary(reader: Reader, node: onnx.NodeProto) -> None:
    """One input, one output; a pass makes tables of those between codes."""
    function, a, b = _function(reader, node)
    op = Unary(node.name, (reader.real(node.input[0]),), node.output[0], function, a, b)
    reader.add(op, reader.new_real(node.output[0]))


def _function(reader: Reader, node: onnx.NodeProto) -> tuple[str, float, float]:
    limits = clip_limits(reader.graph, node)
    if limits is not None:
        return "clip", limits[0], limits[1]
    if node.op_type == "LeakyRelu":
        return "leaky_relu", float(attribute(node, "alpha", 0.01)), 0.0
    if node.op_type == "PRelu":
        slope = reader.graph.real_constant(node.input[1])
        if slope is None or slope.size == 0 or np.any(slope != slope.reshape(-1)[0]):
            raise Refused("its slopes differ from channel to channel")
        return "leaky_relu", float(slope.reshape(-1)[0]), 0.0
    if node.op_type == "HardSigmoid":
        return "hard_sigmoid", float(attribute(node, "alpha", 0.2)), float(attribute(node, "beta", 0.5))
    if node.op_type in PLAIN:
        return PLAIN[node.op_type], 0.0, 0.0
    raise Refused("its bounds are not constant")


def binary(reader: Reader, node: onnx.NodeProto) -> None:
    """Add, Sub, Mul, Div of two activations, or of one and a constant."""
    kind = KINDS[node.op_type]
    constants = [reader.graph.real_constant(name) for name in node.input]
    after, limits, passed = reader.activation(node.output[0])
    if constants[0] is not None or constants[1] is not None:
        _with_constant(reader, node, kind, constants)
        return
    sources = [reader.integer(name) for name in node.input]
    target = reader.quantized_as(after)
    if target is not None and kind in INTEGER and sources[0] is not None and sources[1] is not None:
        quantizer, value = target
        reader.take([*passed, quantizer])
        pair = (sources[0].name, sources[1].name)
        reader.add(Binary(node.name, pair, value.name, kind, code_clamp(value, limits)), value)  # type: ignore[arg-type]
        return
    reals = (reader.real(node.input[0]), reader.real(node.input[1]))
    if _silu(reader, node, kind, reals):
        return
    reader.take(passed)
    reader.add(Binary(node.name, reals, after, kind, real_clamp(limits)), reader.new_real(after))  # type: ignore[arg-type]


def _silu(reader: Reader, node: onnx.NodeProto, kind: str, pair: tuple[str, str]) -> bool:
    """x * sigmoid(x) and x * hard_sigmoid(x) are one function."""
    if kind != "mul":
        return False
    makers: dict[str, Op] = {op.output: op for op in reader.ops}
    for x, y in (pair, pair[::-1]):
        maker = makers.get(y)
        if not isinstance(maker, Unary) or maker.inputs != (x,):
            continue
        hard = maker.function == "hard_sigmoid" and abs(maker.a - 1 / 6) < 1e-6 and maker.b == 0.5
        if maker.function == "sigmoid" or hard:
            function = "hard_swish" if hard else "silu"
            reader.add(Unary(node.name, (x,), node.output[0], function), reader.new_real(node.output[0]))
            return True
    return False


def _with_constant(
    reader: Reader, node: onnx.NodeProto, kind: str, constants: list[np.ndarray | None]
) -> None:
    swapped = constants[0] is not None
    constant = constants[0] if swapped else constants[1]
    if constant is None or (constants[0] is not None and constants[1] is not None):
        raise Refused("both inputs are constant")
    source = node.input[1] if swapped else node.input[0]
    name = node.input[0] if swapped else node.input[1]
    after, limits, passed = reader.activation(node.output[0])
    codes, target, stored = reader.integer(source), reader.quantized_as(after), reader.graph.quantized.get(name)
    if codes is not None and target is not None and stored is not None and kind in INTEGER and stored.scale.size == 1:
        quantizer, value = target
        shift = 128 if stored.integers.dtype == np.int8 else 0
        reader.take([*passed, quantizer])
        op = Binary(
            node.name,
            (codes.name,),
            value.name,
            kind,  # type: ignore[arg-type]
            code_clamp(value, limits),
            (stored.integers.astype(np.int16) + shift).astype(np.uint8),
            float(stored.scale),
            int(stored.zero) + shift,
            swapped,
        )
        reader.add(op, value)
        return
    reader.take(passed)
    op = Binary(
        node.name,
        (reader.real(source),),
        after,
        kind,  # type: ignore[arg-type]
        real_clamp(limits),
        np.ascontiguousarray(constant.astype(np.float32)),
        swapped=swapped,
    )
    reader.add(op, reader.new_real(after))
