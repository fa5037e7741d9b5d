"""Operators on one element at a time, and softmax."""

from __future__ import annotations

import math

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.convert.tflite.clamps import activation, bound, clamped, fused
from shoestring.convert.tflite.emitter import Emitter
from shoestring.convert.tflite.flat import Scales
from shoestring.convert.tflite.layout import with_last
from shoestring.convert.tflite.moves import common
from shoestring.native.form import Binary, Clamp, Dequantize, Quantize, Softmax, Table, Unary, Value
from shoestring.native.front.builder import affine_of_value, requantized

F = np.float32

DIRECT = {
    "hard_swish": ("HARD_SWISH", "HardSwish"),
    "sigmoid": ("LOGISTIC", ""),
    "tanh": ("TANH", ""),
    "exp": ("EXP", "Exp"),
    "sqrt": ("SQRT", ""),
    "neg": ("NEG", "Neg"),
    "abs": ("ABS", "Abs"),
}
"""Functions that TFLite has an operator for: its code and its options."""

RELUS = {"RELU": "RELU", "RELU6": "RELU6", "RELU_N1_TO_1": "RELU_N1_TO_1"}


def quantize(emitter: Emitter, op: Quantize) -> None:
    source = op.inputs[0]
    layout = emitter.layout(source)
    emitter.flat.operator(
        "QUANTIZE", (emitter.own(source),), emitter.new(op.output, layout), options="Quantize", version=1
    )


def dequantize(emitter: Emitter, op: Dequantize) -> None:
    source = op.inputs[0]
    layout = emitter.layout(source)
    made = emitter.new(op.output, layout)
    emitter.flat.operator("DEQUANTIZE", (emitter.own(source),), made, options="Dequantize", int8=True)


def binary(emitter: Emitter, op: Binary) -> None:
    """ADD, SUB, MUL, DIV with broadcasting."""
    result = emitter.result(op)
    layout = common(emitter, op.inputs, len(result.shape))
    tensors = [emitter.widened(name, layout) for name in op.inputs]
    if op.constant is not None:
        beside = emitter.source(op)
        constant = emitter.constant(op.constant, beside, layout, op.constant_scale, op.constant_zero)
        tensors.insert(0 if op.swapped else 1, constant)
    code = op.kind.upper()

    def emit(target: int, function: int) -> None:
        emitter.flat.operator(
            code,
            tensors,
            target,
            options=code.capitalize(),
            int8=result.kind == "i8",
            fusedActivationFunction=function,
        )

    clamped(emitter, op, layout, op.clamp, emit)


def table(emitter: Emitter, op: Table) -> None:
    """Two kinds come from the front: another scale, and a ReLU. Raises ModelError for others."""
    source, result = emitter.source(op), emitter.result(op)
    layout, tensor = emitter.layout(source.name), emitter.own(source.name)
    if np.array_equal(op.table, requantized(source, affine_of_value(result))):
        _rescaled(emitter, tensor, emitter.new(op.output, layout))
        return
    if (source.scale, source.zero) == (result.scale, result.zero) and np.array_equal(
        op.table, np.maximum(np.arange(256), source.zero)
    ):
        emitter.flat.operator("RELU", (tensor,), emitter.new(op.output, layout), int8=True)
        return
    raise ModelError("it is a table of 256 codes, which TFLite has no operator for; keep the function it stands for")


def _rescaled(emitter: Emitter, tensor: int, made: int) -> None:
    """Codes of another scale: a product with one, which XNNPACK scales in float32; its QUANTIZE has 8 bits for that."""
    if emitter.integer:
        emitter.flat.operator("QUANTIZE", (tensor,), made, options="Quantize", int8=True)
        return
    one = emitter.flat.tensor("one", (1,), "int8", Scales(np.ones(1), np.zeros(1)), np.ones(1))
    none = fused(emitter, "NONE")
    emitter.flat.operator("MUL", (tensor, one), made, options="Mul", int8=True, fusedActivationFunction=none)


def unary(emitter: Emitter, op: Unary) -> None:
    """A function of floats."""
    source = emitter.source(op)
    layout, tensor = emitter.layout(source.name), emitter.own(source.name)
    made = emitter.new(op.output, layout)
    if op.function in DIRECT:
        code, options = DIRECT[op.function]
        emitter.flat.operator(code, (tensor,), made, options=options)
    elif op.function == "leaky_relu":
        emitter.flat.operator("LEAKY_RELU", (tensor,), made, options="LeakyRelu", alpha=op.a)
    elif op.function == "gelu":
        emitter.flat.operator("GELU", (tensor,), made, options="Gelu", approximate=bool(op.a))
    elif op.function == "clip":
        clip(emitter, source, tensor, made, op.a, op.b)
    elif op.function == "silu":
        gate = emitter.like(source, f"{op.output}/gate", emitter.flat.shape(tensor))
        emitter.flat.operator("LOGISTIC", (tensor,), gate)
        _plain(emitter, "MUL", (tensor, gate), made)
    elif op.function == "hard_sigmoid":
        _hard_sigmoid(emitter, op, source, tensor, made)
    else:
        raise ModelError(f"TFLite has no operator for {op.function}; write it with add, mul, exp and div")


def clip(emitter: Emitter, value: Value, tensor: int, made: int, low: float, high: float) -> None:
    """RELU, RELU6, RELU_N1_TO_1, or MAXIMUM and MINIMUM of floats."""
    ends = Clamp(None if math.isinf(low) else low, None if math.isinf(high) else high)
    name = activation(value, ends)
    if name == "NONE":
        emitter.flat.operator("RESHAPE", (tensor,), made, options="Reshape", newShape=list(emitter.flat.shape(made)))
    elif name is not None:
        emitter.flat.operator(RELUS[name], (tensor,), made)
    else:
        bound(emitter, value, tensor, made, low, high)


def _hard_sigmoid(emitter: Emitter, op: Unary, source: Value, tensor: int, made: int) -> None:
    """max(0, min(1, a x + b)) as relu6(6 a x + 6 b) / 6, of operators that every runtime has."""
    shape = emitter.flat.shape(tensor)
    sixth = emitter.flat.plain(F(1 / 6), "float32")
    if not np.isclose(6 * op.a, 1.0, rtol=1e-6):
        scaled = emitter.like(source, f"{op.output}/scaled", shape)
        _plain(emitter, "MUL", (tensor, emitter.flat.plain(F(6 * op.a), "float32")), scaled)
        tensor = scaled
    ramp = emitter.like(source, f"{op.output}/ramp", shape)
    _plain(emitter, "ADD", (tensor, emitter.flat.plain(F(6 * op.b), "float32")), ramp, "RELU6")
    _plain(emitter, "MUL", (ramp, sixth), made)


def _plain(emitter: Emitter, code: str, tensors: tuple[int, int], made: int, function: str = "NONE") -> None:
    options = code.capitalize()
    emitter.flat.operator(code, tensors, made, options=options, fusedActivationFunction=fused(emitter, function))


def softmax(emitter: Emitter, op: Softmax) -> None:
    """SOFTMAX over the axis that lies last, where the axis is put if need be."""
    source = emitter.source(op)
    layout = with_last(emitter.layout(source.name), op.axis % len(source.shape))
    tensor = emitter.tensor(source.name, layout)
    emitter.flat.operator("SOFTMAX", (tensor,), emitter.new(op.output, layout), options="Softmax", beta=1.0)
