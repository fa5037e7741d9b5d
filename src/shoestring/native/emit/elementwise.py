"""Steps that work element by element."""

from __future__ import annotations

import numpy as np

from shoestring.native.emit.context import Context, bounds, flag, loops, real, weights
from shoestring.native.form import Binary, Dequantize, Op, Quantize, Table, Unary, Value
from shoestring.native.lowering import same_shape
from shoestring.native.storage import Storage


def quantize(context: Context, op: Quantize) -> str:
    out = context.value(op.output)
    return f"    const ss_affine q = {affine(context, out)};\n" + _run(
        context, op, "ss_quantize_run(&q, from, to, {count})", "float", "ss_code"
    )


def quantize_planes(context: Context, op: Quantize, port: int) -> str:
    """Reads an image of floats where the caller keeps it, plane after plane."""
    out, storage = context.value(op.output), context.storage(op.output)
    _, channels, height, width = out.shape
    fields = (
        f"{{{affine(context, out)}, {height * width}, {width}, {storage.pitch}, {storage.row}, {width}, {channels}}}"
    )
    return (
        "    (void)a;\n"
        f"    const ss_planes p = {fields};\n"
        f"    const float *from = (const float *)f->inputs[{port}] + (ptrdiff_t)rows.first * {width};\n"
        f"    ss_quantize_planes(&p, from, (ss_code *)(void *)ss_row(out, rows.first, {storage.row}), "
        "rows.last - rows.first);"
    )


def dequantize(context: Context, op: Dequantize) -> str:
    source = context.value(op.inputs[0])
    return f"    const ss_affine q = {affine(context, source)};\n" + _run(
        context, op, "ss_dequantize_run(&q, from, to, {count})", "ss_code", "float"
    )


def table(context: Context, op: Table) -> str:
    items = np.asarray(op.table, np.uint8)
    if context.signed:  # index and content are stored bytes
        items = np.roll(items, -128) ^ np.uint8(128)
    offset = context.blob.add(items)
    return f"    const ss_code *table = {weights(offset, 'ss_code')};\n" + _run(
        context, op, "ss_table_run(table, from, to, {count})", "ss_code", "ss_code"
    )


def unary(context: Context, op: Unary) -> str:
    parameters = f"(ss_parameters){{{real(op.a)}, {real(op.b)}}}"
    return _run(context, op, f"ss_{op.function}_run({parameters}, from, to, " + "{count})", "float", "float")


def binary(context: Context, op: Binary) -> str:
    out = context.value(op.output)
    if op.constant is not None:
        return _with_constant(context, op, out)
    first, second = (context.value(name) for name in op.inputs)
    parameters = _parameters(context, op, out, (first.scale, first.zero), (second.scale, second.zero))
    kind = "ss_code" if out.kind == "i8" else "float"
    name = f"ss_{op.kind}_{out.kind}"
    if same_shape(op, context.program):
        storage_a, storage_b, to = (context.storage(n) for n in (*op.inputs, op.output))
        size = to.element_bytes
        suffix = "fast" if name == "ss_add_i8" else "run"
        return (
            f"{parameters}    for (int32_t y = rows.first; y < rows.last; y++)\n"
            f"        {name}_{suffix}(&p, (const {kind} *)(const void *)ss_row(a, y, {storage_a.row * size}),\n"
            f"            (const {kind} *)(const void *)ss_row(b, y, {storage_b.row * size}),\n"
            f"            ({kind} *)(void *)ss_row(out, y, {to.row * size}), {to.width * to.pitch});"
        )
    strides = [_broadcast(context.storage(n).strides(), context.value(n).shape, out.shape) for n in op.inputs]
    walk = loops(out.shape, strides[0], strides[1], context.storage(op.output).strides())
    return (
        f"{parameters}    const ss_loops l = {walk};\n"
        f"    {name}_loops(&p, &l, (const {kind} *)(const void *)a.at, (const {kind} *)(const void *)b.at, "
        f"({kind} *)(void *)out.at);"
    )


def _with_constant(context: Context, op: Binary, out: Value) -> str:
    constant = np.asarray(op.constant)
    source = context.value(op.inputs[0])
    ours, theirs = (source.scale, source.zero), (op.constant_scale, op.constant_zero)
    if out.kind == "i8" and context.signed:
        constant = constant ^ np.uint8(128)
    offset = context.blob.add(constant)
    dense: list[int] = []
    step = 1
    for length in reversed(constant.shape):
        dense.insert(0, step if length > 1 else 0)
        step *= length
    strides = _broadcast(tuple(dense), constant.shape, out.shape)
    mine = _broadcast(context.storage(op.inputs[0]).strides(), source.shape, out.shape)
    kind = "ss_code" if out.kind == "i8" else "float"
    pair = (f"(const {kind} *)(const void *)a.at", weights(offset, kind))
    if op.swapped:
        strides, mine, ours, theirs, pair = mine, strides, theirs, ours, (pair[1], pair[0])
    walk = loops(out.shape, mine, strides, context.storage(op.output).strides())
    return (
        f"{_parameters(context, op, out, ours, theirs)}    const ss_loops l = {walk};\n"
        f"    ss_{op.kind}_{out.kind}_loops(&p, &l, {pair[0]}, {pair[1]}, ({kind} *)(void *)out.at);"
    )


def _parameters(context: Context, op: Binary, out: Value, first: tuple[float, int], second: tuple[float, int]) -> str:
    low, high, is_open = bounds(op.clamp, out)
    if out.kind == "f32":
        return f"    const ss_binary_f32 p = {{{low}, {high}, {flag(not is_open)}}};\n"
    (scale_a, zero_a), (scale_b, zero_b) = first, second
    scales = [np.float32(s) for s in (scale_a, scale_b, out.scale)]
    ratio_a, ratio_b = scales[0] / scales[2], scales[1] / scales[2]
    if op.kind == "mul":
        ratio_a, ratio_b = np.float32(scales[0] * scales[1]) / scales[2], np.float32(1)
    zeros = ", ".join(str(context.stored(zero)) for zero in (zero_a, zero_b))
    numbers = f"{zeros}, {real(ratio_a)}, {real(ratio_b)}, {low}, {high}, {context.stored(out.zero)}"
    return f"    const ss_binary_i8 p = {{{numbers}}};\n"


def _broadcast(strides: tuple[int, ...], shape: tuple[int, ...], to: tuple[int, ...]) -> tuple[int, ...]:
    """Strides over `to`: 0 where the input has one element or no such axis."""
    missing = len(to) - len(shape)
    return (0,) * missing + tuple(0 if length == 1 else s for s, length in zip(strides, shape, strict=True))


def _run(context: Context, op: Op, call: str, from_kind: str, to_kind: str) -> str:
    """A loop over rows of one input with the output's shape."""
    source, out = context.storage(op.inputs[0]), context.storage(op.output)
    call = call.replace("{count}", str(out.width * out.pitch))
    return (
        "    for (int32_t y = rows.first; y < rows.last; y++) {\n"
        f"        const {from_kind} *from = (const {from_kind} *)(const void *)ss_row(a, y, {_row_bytes(source)});\n"
        f"        {to_kind} *to = ({to_kind} *)(void *)ss_row(out, y, {_row_bytes(out)});\n"
        f"        {call};\n"
        "    }"
    )


def _row_bytes(storage: Storage) -> int:
    return storage.row * storage.element_bytes


def affine(context: Context, value: Value) -> str:
    """An ss_affine constant of an i8 value."""
    zero = context.stored(value.zero)
    return f"{{{real(value.scale)}, {zero}, {real(-value.zero)}, {real(255 - value.zero)}}}"
