"""Quantization moves in front of operators that only select or move values, so that these work on codes.

Rounding keeps the order of values, so the largest code of a window is the code of its largest value, and a moved code
is the code of the moved value: results are the same for everything but NaN.

Requires: nothing. Ensures: no Quantize alone reads a max pool, nearest resize, transpose, reshape, slice or
concatenation of floats. A function between codes then shows itself to `tables`.
"""

from __future__ import annotations

from dataclasses import replace

from shoestring.native.form import Concat, Op, Pool, Program, Quantize, Reshape, Resize, Slice, Transpose, Value


def hoist_quantize(program: Program) -> Program:
    """See the module."""
    while True:
        changed = _once(program)
        if changed is None:
            return program
        program = changed


def _once(program: Program) -> Program | None:
    """One move, or None when there is none left."""
    makers = {op.output: op for op in program.ops}
    readers = program.consumers()
    outputs = {port.value for port in program.outputs}
    for op in program.ops:
        if not isinstance(op, Quantize):
            continue
        maker = makers.get(op.inputs[0])
        if maker is None or not _moves(maker) or len(readers[maker.output]) != 1 or maker.output in outputs:
            continue
        return _swap(program, maker, op)
    return None


def _moves(op: Op) -> bool:
    if isinstance(op, Pool):
        return op.function == "max"
    if isinstance(op, Resize):
        return op.function == "nearest"
    return isinstance(op, Transpose | Reshape | Slice | Concat)


def _swap(program: Program, maker: Op, quantize: Quantize) -> Program:
    """Quantize every input of `maker`, which then makes the codes."""
    result = program.values[quantize.output]
    values = {name: value for name, value in program.values.items() if name != maker.output}
    names: list[str] = []
    ops: list[Op] = []
    for number, source in enumerate(maker.inputs):
        name = f"{result.name}/before{number}"
        values[name] = Value(name, program.values[source].shape, "i8", result.scale, result.zero)
        names.append(name)
        ops.append(Quantize(f"{quantize.name}/{number}", (source,), name))
    ops.append(replace(maker, inputs=tuple(names), output=result.name))
    made: list[Op] = []
    for op in program.ops:
        if op is maker:
            made += ops
        elif op is not quantize:
            made.append(op)
    return replace(program, ops=tuple(made), values=values)
