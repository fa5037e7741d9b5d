"""Operators and values that no output depends on are dropped.

Requires: nothing. Ensures: every operator's output is read or is a port's. Inputs stay, read or not.
"""

from __future__ import annotations

from dataclasses import replace

from shoestring.native.form import Program


def prune(program: Program) -> Program:
    """See the module."""
    needed = {port.value for port in program.outputs}
    kept = []
    for op in reversed(program.ops):
        if op.output in needed:
            kept.append(op)
            needed.update(op.inputs)
    needed |= {port.value for port in program.inputs}
    values = {name: value for name, value in program.values.items() if name in needed}
    return replace(program, ops=tuple(kept[::-1]), values=values)
