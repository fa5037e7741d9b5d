"""Elementwise functions between codes become tables of 256 entries.

Requires: nothing. Ensures: no Quantize whose input follows from the codes of one i8 value element by element; no operator
whose result nobody needs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shoestring.native.form import Array, Binary, Dequantize, Op, Program, Quantize, Table, Unary
from shoestring.native.front.reader import dequantized, quantized
from shoestring.native.functions import unary


def make_tables(program: Program) -> Program:
    """See the module."""
    makers = {op.output: op for op in program.ops}
    ops: list[Op] = []
    for op in program.ops:
        if isinstance(op, Quantize):
            found = _function_of_codes(program, makers, op.inputs[0])
            if found is not None:
                source, reals = found
                table = quantized(reals, program.values[op.output])
                ops.append(Table(op.name, (source,), op.output, table))
                continue
        ops.append(op)
    return drop_unused(replace(program, ops=tuple(ops)))


def drop_unused(program: Program) -> Program:
    """Without operators whose result nobody needs, and without their values."""
    needed = {port.value for port in program.outputs}
    kept: list[Op] = []
    for op in reversed(program.ops):
        if op.output in needed:
            kept.insert(0, op)
            needed.update(op.inputs)
    needed.update(port.value for port in program.inputs)
    values = {name: value for name, value in program.values.items() if name in needed}
    return replace(program, ops=tuple(kept), values=values)


def _function_of_codes(program: Program, makers: dict[str, Op], name: str) -> tuple[str, Array] | None:
    """The i8 value that `name` follows from element by element, and its real for each of the 256 codes."""
    op = makers.get(name)
    if isinstance(op, Dequantize):
        source = op.inputs[0]
        return source, dequantized(program.values[source])
    if isinstance(op, Unary):
        found = _function_of_codes(program, makers, op.inputs[0])
        return None if found is None else (found[0], unary(op.function, found[1], op.a, op.b))
    if isinstance(op, Binary):
        return _binary(program, makers, op)
    return None


def _binary(program: Program, makers: dict[str, Op], op: Binary) -> tuple[str, Array] | None:
    sides: list[Array] = []
    sources: set[str] = set()
    for name in op.inputs:
        found = _function_of_codes(program, makers, name)
        if found is None or program.values[name].shape != program.values[op.output].shape:
            return None
        sources.add(found[0])
        sides.append(found[1])
    if op.constant is not None:
        if op.constant.size != 1:
            return None
        sides.insert(0 if op.swapped else 1, np.float32(op.constant.reshape(())))
    if len(sources) != 1:
        return None
    with np.errstate(all="ignore"):
        function = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}[op.kind]
        x = np.asarray(function(sides[0], sides[1]), np.float32)
    low = -np.inf if op.clamp.low is None else op.clamp.low
    high = np.inf if op.clamp.high is None else op.clamp.high
    return sources.pop(), unary("clip", x, low, high)
