"""One C function for each operator, and the function that runs them all in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shoestring.base.errors import ModelError
from shoestring.native.emit import convolutions, elementwise, moves, windows
from shoestring.native.emit.context import Context
from shoestring.native.form import (
    Binary,
    Concat,
    Conv,
    Dequantize,
    Linear,
    MatMul,
    Mean,
    Op,
    Pad,
    Pool,
    Quantize,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Table,
    Transpose,
    Unary,
)
from shoestring.native.lowering import rows_of
from shoestring.native.plan import Group

SIGNATURE = "(const ss_frame *f, ss_view a, ss_view b, ss_view out, ss_range rows, ss_range part)"
NUMBERED: dict[type[Op], Callable[[Context, Any, int], str]] = {
    Conv: convolutions.conv,
    Linear: convolutions.linear,
    Resize: windows.resize,
}
"""Emitters of operators that bring static tables, named by the step's number."""

PLAIN: dict[type[Op], Callable[[Context, Any], str]] = {
    Quantize: elementwise.quantize,
    Dequantize: elementwise.dequantize,
    Table: elementwise.table,
    Unary: elementwise.unary,
    Binary: elementwise.binary,
    Pool: windows.pool,
    Mean: windows.pool,
    Softmax: windows.softmax,
    MatMul: windows.matmul,
    Transpose: moves.transpose,
    Slice: moves.slices,
    Pad: moves.pad,
    Concat: moves.concat,
    Reshape: moves.reshape,
}
"""Emitters of all other operators."""

FEW_ROWS = 16
"""With fewer output rows threads share the output channels of a convolution, if there are panels enough."""


@dataclass(frozen=True)
class Step:
    """An operator's function.

    Args:
        name: in C.
        panels: of output channels that threads may share; 0 for none.
    """

    name: str
    panels: int


def step(context: Context, op: Op, number: int, port: int | None) -> tuple[Step, str]:
    """The function of one operator.

    Args:
        context: of the emission.
        op: operator.
        number: unique.
        port: the input port that a Quantize reads directly, or None.

    Returns:
        The step and its C text.
    """
    panels = convolutions.panels_of(context, op) if isinstance(op, Conv | Linear) else 0
    if isinstance(op, Conv) and op.groups > 1:
        panels = 0
    name = f"step_{number}"
    body = _body(context, op, number, port)
    shapes = f"{context.value(op.inputs[0]).shape} -> {context.value(op.output).shape}"
    comment = f"/* {type(op).__name__} {_plain(op.name)}: {shapes} */"
    unused = "    (void)f, (void)a, (void)b, (void)out, (void)rows, (void)part;"
    return Step(name, panels), f"{comment}\nSS_STEP void {name}{SIGNATURE} {{\n{unused}\n{body}\n}}\n"


def _plain(name: str) -> str:
    """A node's name, safe inside a C comment."""
    return "".join(c if c.isalnum() or c in "_.-: " else "." for c in name)[:80]


def _body(context: Context, op: Op, number: int, port: int | None) -> str:
    if isinstance(op, Quantize) and port is not None:
        return elementwise.quantize_planes(context, op, port)
    if type(op) in NUMBERED:
        return NUMBERED[type(op)](context, op, number)
    return PLAIN[type(op)](context, op)


def view(context: Context, name: str) -> str:
    """A whole value in the arena."""
    offset = context.plan.offsets.get(name)
    if offset is None:
        return "{NULL, 0}"
    storage = context.storage(name)
    return f"{{f->arena + {offset + storage.first * storage.element_bytes}, 0}}"


def whole(context: Context, op: Op, made: Step) -> str:
    """A call of a lone operator: rows, panels or everything for thread 0."""
    height = context.storage(op.output).height
    sharing_panels = made.panels > 1 and height < FEW_ROWS
    by_rows = not sharing_panels and height > 1 and rows_of(op, context.program) is not None
    lines = ["    {"]
    if by_rows:
        lines.append(f"        const ss_range rows = ss_share({height}, thread, threads);")
    else:
        lines.append(f"        const ss_range rows = {{0, {height}}};")
    if sharing_panels:
        lines.append(f"        const ss_range part = ss_share({made.panels}, thread, threads);")
    else:
        lines.append(f"        const ss_range part = {{0, {max(1, made.panels)}}};")
    lines.append("        (void)rows, (void)part;")
    edges = border(context, op.output)
    alone = not (by_rows or sharing_panels)
    call = [*(edges if by_rows else []), f"        {_call(context, op, made)};"]
    if sharing_panels and edges:
        lines += ["        if (thread == 0) {", *edges, "        }"]
    if alone:
        lines += ["        if (thread == 0) {", *edges, *call, "        }"]
    else:
        lines += call
    lines += ["    }", "    SS_BARRIER;"]
    return "\n".join(lines)


def _call(context: Context, op: Op, made: Step) -> str:
    views = [view(context, name) for name in op.inputs[:2]]
    views += ["{NULL, 0}"] * (2 - len(views))
    a, b, out = (f"(ss_view){v}" for v in (*views, view(context, op.output)))
    return f"{made.name}(f, {a}, {b}, {out}, rows, part)"


def border(context: Context, name: str) -> list[str]:
    """Statements that fill the border beside `rows` of a whole value."""
    storage, value = context.storage(name), context.value(name)
    if not any(storage.border):
        return []
    byte = context.stored(value.zero) if value.kind == "i8" else 0
    numbers = ", ".join(str(n) for n in storage.border)
    pixel, row = storage.pitch * storage.element_bytes, storage.row * storage.element_bytes
    return [
        f"        const ss_border border = {{{numbers}, {storage.height}, {pixel}, {row}, {byte}}};",
        f"        ss_fill_border(&border, f->arena + {context.plan.offsets[name]}, rows.first, rows.last);",
    ]


def chain(context: Context, group: Group, made: list[Step]) -> str:
    """A group of operators that run band by band, as a block of the run function."""
    program = context.program
    last = context.storage(group.ops[-1].output)
    lines = ["    {", f"        const ss_range mine = ss_share({last.height}, thread, threads);"]
    for i, op in enumerate(group.ops[:-1]):
        storage, value, inner = context.storage(op.output), context.value(op.output), group.inner[op.output]
        byte = context.stored(value.zero) if value.kind == "i8" else 0
        row = storage.row * storage.element_bytes
        at = f"scratch + {inner.offset}"
        lines.append(f"        ss_band b{i} = {{{at}, {inner.rows}, {row}, {storage.height}, {byte}, 0, 0, false}};")
        lines.append(f"        ss_band_start(&b{i});")
    lines.append(f"        for (int32_t y = mine.first; y < mine.last; y += {group.band}) {{")
    end = len(group.ops) - 1
    lines.append("            ss_range rows;")
    lines.append(
        f"            const ss_range r{end} = {{y, y + {group.band} < mine.last ? y + {group.band} : mine.last}};"
    )
    for i in range(end - 1, -1, -1):
        need = rows_of(group.ops[i + 1], program)
        if need is None:
            raise ModelError(f"{group.ops[i + 1].name!r} does not work row by row and cannot stand in a group")
        lines.append(
            f"            const ss_range r{i} = ss_band_want(&b{i}, "
            f"ss_needed(r{i + 1}, {need.stride}, {need.top}, {need.extent}));"
        )
    for i, (op, one) in enumerate(zip(group.ops, made, strict=True)):
        lines.append(f"            rows = r{i};")
        if i == end:
            lines += [f"    {line}" for line in border(context, op.output)]
        views = [_inner_view(context, group, name) for name in op.inputs[:2]]
        views += ["(ss_view){NULL, 0}"] * (2 - len(views))
        out = _inner_view(context, group, op.output)
        panels = f"(ss_range){{0, {max(1, one.panels)}}}"
        call = f"{one.name}(f, {', '.join(views)}, {out}, rows, {panels});"
        lines.append(f"            if (rows.first < rows.last) {call}")
    lines += ["        }", "    }", "    SS_BARRIER;"]
    return "\n".join(lines)


def _inner_view(context: Context, group: Group, name: str) -> str:
    if name not in group.inner:
        return f"(ss_view){view(context, name)}"
    i = next(i for i, op in enumerate(group.ops) if op.output == name)
    storage = context.storage(name)
    left = storage.border[1] * storage.pitch * storage.element_bytes
    return f"(ss_view){{b{i}.buffer + {left}, b{i}.first}}"
