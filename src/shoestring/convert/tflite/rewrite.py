"""What is changed in a program before it is written: for integers alone, functions between codes are one operator."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shoestring.native.form import Dequantize, MatMul, Op, Program, Quantize, Softmax, Unary, Value
from shoestring.native.passes.prune import prune

INTEGER = frozenset({"leaky_relu", "sigmoid", "tanh", "hard_swish", "silu", "hard_sigmoid", "clip", "gelu", "softmax"})
"""Functions that TFLite has int8 kernels for, alone or in two operators."""


@dataclass(frozen=True, eq=False)
class IntegerFunction(Op):
    """i8 -> i8: the codes of a function of floats, by TFLite's int8 kernel for it.

    Args:
        function: one of INTEGER.
        a, b: its parameters, as in `Unary`.
        axis: of a softmax.
    """

    function: str
    a: float = 0.0
    b: float = 0.0
    axis: int = -1


def rewritten(program: Program, *, integer: bool = False) -> Program:
    """The program with `float_products`, and `integer_functions` where only integers are wanted."""
    return prune(float_products(integer_functions(program) if integer else program))


def integer_functions(program: Program) -> Program:
    """A Quantize of a function of dequantized codes becomes an `IntegerFunction` of the codes."""
    makers = {op.output: op for op in program.ops}
    ops: list[Op] = []
    for op in program.ops:
        maker = makers.get(op.inputs[0]) if isinstance(op, Quantize) else None
        found = None if maker is None else _function(maker)
        source = None if maker is None else makers.get(maker.inputs[0])
        if maker is None or found is None or not isinstance(source, Dequantize):
            ops.append(op)
            continue
        function, a, b, axis = found
        ops.append(IntegerFunction(maker.name, source.inputs, op.output, function, a, b, axis))
    return replace(program, ops=tuple(ops))


def _function(op: Op) -> tuple[str, float, float, int] | None:
    if isinstance(op, Softmax):
        return "softmax", 0.0, 0.0, op.axis
    if isinstance(op, Unary) and op.function in INTEGER:
        return op.function, op.a, op.b, -1
    return None


def float_products(program: Program) -> Program:
    """A MatMul of codes that makes floats multiplies floats: TFLite's int8 kernel makes int8."""
    values, ops = dict(program.values), list[Op]()
    for op in program.ops:
        if isinstance(op, MatMul) and values[op.inputs[0]].kind == "i8" and values[op.output].kind == "f32":
            reals = []
            for place, name in enumerate(op.inputs):
                made = f"{op.output}/factor{place}"
                values[made] = Value(made, values[name].shape, "f32")
                ops.append(Dequantize(made, (name,), made))
                reals.append(made)
            op = replace(op, inputs=tuple(reals), multiplier=None)
        ops.append(op)
    return replace(program, ops=tuple(ops), values=values)
