"""Whatever is computed element by element from one tensor of codes, back to codes, becomes one table of 256 entries.

Requires: nothing. Ensures: no Quantize or i8 Binary whose result depends on the codes of one value only; no table that
is read by another table alone; no table that changes nothing. Entries are what the interpreter computes, so the
program's results stay the same to the bit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shoestring.native.form import Array, Binary, Dequantize, Op, Program, Quantize, Table, Unary, Value
from shoestring.native.interpret.dispatch import evaluate
from shoestring.native.passes.prune import prune

MOST_ROOTS = 4
"""How many values a chain is followed back through; more would only lengthen their lives."""


def tables(program: Program) -> Program:
    """See the module."""
    known: dict[str, dict[str, Array]] = {}
    ops: list[Op] = []
    codes = np.arange(256).astype(np.uint8)
    for name, value in program.values.items():
        known[name] = {name: codes} if value.kind == "i8" else {}
    for op in program.ops:
        found = _functions(op, program, known)
        own = known[op.output]
        if found and isinstance(op, Quantize | Binary) and program.values[op.output].kind == "i8":
            root, table = list(found.items())[-1]
            op = Table(op.name, (root,), op.output, table)
        ops.append(op)
        nearest = list(found.items())[-MOST_ROOTS:]
        known[op.output] = dict(nearest) | own
    return prune(_without_idle(_joined(prune(replace(program, ops=tuple(ops))))))


def _functions(op: Op, program: Program, known: dict[str, dict[str, Array]]) -> dict[str, Array]:
    """An operator's output as functions of the codes of one value, nearest last; empty if there is none."""
    shape = program.values[op.output].shape
    if not isinstance(op, Quantize | Dequantize | Table | Unary | Binary):
        return {}
    if isinstance(op, Binary) and op.constant is not None and op.constant.size != 1:
        return {}
    if any(program.values[name].shape != shape for name in op.inputs):
        return {}
    first, *others = (known[name] for name in op.inputs)
    roots = [root for root in first if all(root in other for other in others)]
    found = {}
    with np.errstate(all="ignore"):
        for root in roots:
            arrays = {name: known[name][root] for name in op.inputs}
            found[root] = evaluate(_flat(op), program.values, arrays, True).reshape(256)
    return found


def _flat(op: Op) -> Op:
    """The operator for arrays of one axis."""
    if isinstance(op, Binary) and op.constant is not None:
        return replace(op, constant=op.constant.reshape(1))
    return op


def _joined(program: Program) -> Program:
    """A table that only another table reads becomes part of it."""
    outputs = {port.value for port in program.outputs}
    readers = program.consumers()
    made: dict[str, Table] = {}
    ops: list[Op] = []
    for op in program.ops:
        if isinstance(op, Table):
            before = made.get(op.inputs[0])
            if before is not None and len(readers[before.output]) == 1 and before.output not in outputs:
                op = replace(op, inputs=before.inputs, table=op.table[before.table])
            made[op.output] = op
        ops.append(op)
    return prune(replace(program, ops=tuple(ops)))


def _without_idle(program: Program) -> Program:
    """Readers of a table that changes nothing read its input."""
    outputs = {port.value for port in program.outputs}
    instead: dict[str, str] = {}
    ops: list[Op] = []
    for op in program.ops:
        op = replace(op, inputs=tuple(instead.get(name, name) for name in op.inputs))
        if isinstance(op, Table) and op.output not in outputs and _idle(op, program.values):
            instead[op.output] = op.inputs[0]
        else:
            ops.append(op)
    values = {name: value for name, value in program.values.items() if name not in instead}
    return replace(program, ops=tuple(ops), values=values)


def _idle(op: Table, values: dict[str, Value]) -> bool:
    before, after = values[op.inputs[0]], values[op.output]
    same = (before.scale, before.zero) == (after.scale, after.zero)
    return same and bool((op.table == np.arange(256)).all())
