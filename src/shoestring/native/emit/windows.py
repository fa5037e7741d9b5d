"""Steps without weights that look at windows or axes: pools, resizes, softmax, products of activations."""

from __future__ import annotations

import numpy as np

from shoestring.native.emit.context import Context, bounds, flag, loops, real
from shoestring.native.form import OPEN, MatMul, Mean, Pool, Resize, Softmax


def pool(context: Context, op: Pool | Mean) -> str:
    source, out = context.storage(op.inputs[0]), context.storage(op.output)
    value_in, value = context.value(op.inputs[0]), context.value(op.output)
    if isinstance(op, Pool):
        window = (*op.kernel, *op.strides, *op.pads)
        function, count_pads = op.function, op.count_pads
    else:
        window, function, count_pads = (source.height, source.width, 1, 1, 0, 0, 0, 0), "average", False
    ratio = np.float32(value_in.scale) / np.float32(value.scale)
    low, high, _ = bounds(OPEN, value)
    zeros = [context.stored(v.zero) if v.kind == "i8" else 0 for v in (value_in, value)]
    numbers = [source.pitch, source.row, out.pitch, out.row, source.height, source.width, out.width, out.pitch]
    text = ", ".join(str(n) for n in (*numbers, *window))
    kind = "ss_code" if value.kind == "i8" else "float"
    size = out.element_bytes
    return (
        f"    const ss_pool p = {{{text}, {flag(count_pads)}, {real(ratio)}, {zeros[0]}, {low}, {high}, {zeros[1]}}};\n"
        f"    ss_{function}_pool_{value.kind}(&p, (const {kind} *)(const void *)a.at, a.row,\n"
        f"        ({kind} *)(void *)ss_row(out, rows.first, {out.row * size}), rows.first, rows.last);"
    )


def resize(context: Context, op: Resize, number: int) -> str:
    source, out = context.storage(op.inputs[0]), context.storage(op.output)
    kind = "ss_code" if context.value(op.output).kind == "i8" else "float"
    names = []
    for name in ("rows", "columns", "rows2", "columns2"):
        items = getattr(op, name)
        names.append(context.table("int32_t", f"{name}_{number}", items) if items else "NULL")
    for name in ("row_part", "column_part"):
        items = getattr(op, name)
        if items:
            text = ", ".join(real(item) for item in items)
            context.tables.append(f"static const float {name}_{number}[{len(items)}] = {{{text}}};")
        names.append(f"{name}_{number}" if items else "NULL")
    numbers = f"{source.pitch}, {source.row}, {out.pitch}, {out.row}, {out.width}, {out.pitch}"
    return (
        f"    const ss_resize r = {{{', '.join(names)}, {numbers}}};\n"
        f"    ss_{op.function}_{context.value(op.output).kind}(&r, (const {kind} *)(const void *)a.at, "
        f"({kind} *)(void *)out.at, rows.first, rows.last);"
    )


def softmax(context: Context, op: Softmax) -> str:
    source, out = context.storage(op.inputs[0]), context.storage(op.output)
    shape = context.value(op.output).shape
    axis = op.axis % len(shape)
    others = tuple(1 if i == axis else n for i, n in enumerate(shape))
    walk = _outer(others, source.strides(), None, out.strides())
    numbers = f"{shape[axis]}, {walk}, {source.strides()[axis]}, {out.strides()[axis]}"
    return (
        f"    const ss_softmax s = {{{numbers}}};\n"
        "    ss_softmax_run(&s, (const float *)(const void *)a.at, (float *)(void *)out.at);"
    )


def matmul(context: Context, op: MatMul) -> str:
    first, second, out = (context.value(name) for name in (*op.inputs, op.output))
    sa, sb, so = (context.storage(name).strides() for name in (*op.inputs, op.output))
    m, k, n = first.shape[-2], first.shape[-1], second.shape[-1]
    outer = out.shape[:-2]

    def wide(strides: tuple[int, ...]) -> tuple[int, ...]:
        return (0,) * (len(outer) + 2 - len(strides)) + strides[:-2]

    walk = _outer(outer, wide(sa), wide(sb), wide(so))
    low, high, _ = bounds(OPEN, out)
    zeros = [context.stored(v.zero) if v.kind == "i8" else 0 for v in (first, second, out)]
    steps = f"{sa[-2]}, {sa[-1]}, {sb[-2]}, {sb[-1]}, {so[-2]}, {so[-1]}"
    scale = real(1.0 if op.multiplier is None else op.multiplier)
    kind = "ss_code" if first.kind == "i8" else "float"
    to = "void" if first.kind == "i8" else "float"
    return (
        f"    const ss_matmul p = {{{walk}, {m}, {n}, {k}, {steps}, {zeros[0]}, {zeros[1]}, {scale}, {low}, {high}, "
        f"{zeros[2]}, {flag(out.kind == 'f32')}}};\n"
        f"    ss_matmul_{first.kind}_run(&p, (const {kind} *)(const void *)a.at, (const {kind} *)(const void *)b.at, "
        f"({to} *)(void *)out.at);"
    )


def _outer(shape: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...] | None, out: tuple[int, ...]) -> str:
    """Loops whose innermost axis has length 1: the caller walks that one itself."""
    return loops((*shape, 1), (*a, 0), None if b is None else (*b, 0), (*out, 0), innermost=False)
