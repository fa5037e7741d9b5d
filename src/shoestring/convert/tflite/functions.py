"""Functions between codes, by TFLite's int8 kernels.

Some kernels have a fixed scale for their result; where the graph has another one, a QUANTIZE follows and the result is
rounded twice.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.convert.tflite.clamps import bound, fused
from shoestring.convert.tflite.emitter import Emitter
from shoestring.convert.tflite.flat import Scales
from shoestring.convert.tflite.layout import with_last
from shoestring.convert.tflite.rewrite import IntegerFunction
from shoestring.native.form import Value
from shoestring.native.front.builder import affine_of_value, code_of

DIRECT = {
    "leaky_relu": ("LEAKY_RELU", "LeakyRelu"),
    "hard_swish": ("HARD_SWISH", "HardSwish"),
    "gelu": ("GELU", "Gelu"),
}
"""Kernels for any scales: code and options."""

FIXED = {
    "sigmoid": ("LOGISTIC", "", 1 / 256, 0),
    "tanh": ("TANH", "", 1 / 128, 128),
    "softmax": ("SOFTMAX", "Softmax", 1 / 256, 0),
}
"""Kernels for one scale of the result: code, options, scale and zero (0..255)."""

RAMP = (6.0 / 255, 0)
"""Scale and zero of relu6(x + 3)."""

SIXTH_CODE = 127


def integer_function(emitter: Emitter, op: IntegerFunction) -> None:
    """Emit the operators of a function between codes."""
    source = emitter.source(op)
    layout = emitter.layout(source.name)
    if op.function == "softmax":
        layout = with_last(layout, op.axis % len(source.shape))
    tensor, made = emitter.tensor(source.name, layout), emitter.new(op.output, layout)
    if op.function in DIRECT:
        code, options = DIRECT[op.function]
        fields: dict[str, Any] = {"alpha": op.a} if op.function == "leaky_relu" else {}
        if op.function == "gelu":
            fields = {"approximate": bool(op.a)}
        emitter.flat.operator(code, (tensor,), made, options=options, int8=True, **fields)
    elif op.function in FIXED:
        _fixed(emitter, op, op.function, tensor, made)
    elif op.function == "silu":
        gate = _gate(emitter, op, tensor)
        _binary(emitter, "MUL", (tensor, gate), made)
    elif op.function == "hard_sigmoid":
        _hard_sigmoid(emitter, op, tensor, made)
    elif op.function == "clip":
        _clip(emitter, op, tensor, made)
    else:
        raise ModelError(f"TFLite has no int8 kernel for {op.function}")


def _fixed(emitter: Emitter, op: IntegerFunction, function: str, tensor: int, made: int) -> None:
    code, options, scale, zero = FIXED[function]
    result = emitter.result(op)
    fields: dict[str, Any] = {"beta": 1.0} if function == "softmax" else {}
    if (np.float32(result.scale), result.zero) == (np.float32(scale), zero):
        emitter.flat.operator(code, (tensor,), made, options=options, int8=True, **fields)
        return
    between = emitter.codes(f"{op.output}/{function}", emitter.flat.shape(tensor), scale, zero)
    emitter.flat.operator(code, (tensor,), between, options=options, int8=True, **fields)
    emitter.flat.operator("QUANTIZE", (between,), made, options="Quantize", int8=True)
    emitter.notes.append(f"{op.name!r} rounds twice: TFLite's {code} has a scale of its own")


def _gate(emitter: Emitter, op: IntegerFunction, tensor: int) -> int:
    """sigmoid(x) for x * sigmoid(x)."""
    code, options, scale, zero = FIXED["sigmoid"]
    gate = emitter.codes(f"{op.output}/gate", emitter.flat.shape(tensor), scale, zero)
    emitter.notes.append(f"{op.name!r} rounds twice: SiLU is LOGISTIC and MUL in TFLite")
    return emitter.flat.operator(code, (tensor,), gate, options=options, int8=True)


def _hard_sigmoid(emitter: Emitter, op: IntegerFunction, tensor: int, made: int) -> None:
    """relu6(x + 6 b) / 6 in two operators. Raises ModelError for another slope than 1/6."""
    if not math.isclose(6 * op.a, 1.0, rel_tol=1e-6):
        raise ModelError(f"its slope is {op.a}; TFLite's int8 operators give 1/6: rewrite it with alpha = 1/6")
    ramp = emitter.codes(f"{op.output}/ramp", emitter.flat.shape(tensor), *RAMP)
    offset = emitter.flat.tensor(
        f"{op.name}/offset",
        (1,),
        "int8",
        Scales(np.array([6 * op.b / SIXTH_CODE]), np.zeros(1)),
        np.array([SIXTH_CODE]),
    )
    sixth = emitter.flat.tensor(
        f"{op.name}/sixth", (1,), "int8", Scales(np.array([1 / 6 / SIXTH_CODE]), np.zeros(1)), np.array([SIXTH_CODE])
    )
    _binary(emitter, "ADD", (tensor, offset), ramp, "RELU6")
    _binary(emitter, "MUL", (ramp, sixth), made)
    emitter.notes.append(f"{op.name!r} rounds twice: HardSigmoid is ADD and MUL in TFLite")


def _clip(emitter: Emitter, op: IntegerFunction, tensor: int, made: int) -> None:
    """Another scale, then bounds on its codes: the same as the codes of a clipped real."""
    result: Value = emitter.result(op)
    affine = affine_of_value(result)
    low = 0.0 if math.isinf(op.a) else float(code_of(op.a, affine))
    high = 255.0 if math.isinf(op.b) else float(code_of(op.b, affine))
    open_ends = (low, high) == (0.0, 255.0)
    target = made if open_ends else emitter.like(result, f"{op.output}/rescaled", emitter.flat.shape(made))
    emitter.flat.operator("QUANTIZE", (tensor,), target, options="Quantize", int8=True)
    if not open_ends:
        bound(emitter, result, target, made, low, high)


def _binary(emitter: Emitter, code: str, tensors: tuple[int, int], made: int, function: str = "NONE") -> None:
    emitter.flat.operator(
        code, tensors, made, options=code.capitalize(), int8=True, fusedActivationFunction=fused(emitter, function)
    )
