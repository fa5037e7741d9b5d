"""Steps that move elements: transposes, slices, concatenations, padding, reshapes, and the program's ports."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from shoestring.native.emit.context import Context, loops, real
from shoestring.native.form import Concat, Op, Pad, Port, Reshape, Slice, Transpose
from shoestring.native.storage import Storage


def _kinds(storage: Storage) -> tuple[str, str]:
    return ("ss_code", "i8") if storage.element_bytes == 1 else ("float", "f32")


def _copy(
    context: Context, op: Op, shape: tuple[int, ...], a: tuple[int, ...], out: tuple[int, ...], first: int, to: int
) -> str:
    """A copy over `shape` from element `first` of input a to element `to` of the output."""
    kind, name = _kinds(context.storage(op.output))
    return (
        f"    {{\n        const ss_loops l = {loops(shape, a, None, out)};\n"
        f"        ss_copy_{name}(&l, (const {kind} *)(const void *)a.at + ({first}), "
        f"({kind} *)(void *)out.at + {to});\n"
        "    }"
    )


def transpose(context: Context, op: Transpose) -> str:
    source = context.storage(op.inputs[0]).strides()
    shape = context.value(op.output).shape
    return _copy(context, op, shape, tuple(source[i] for i in op.axes), context.storage(op.output).strides(), 0, 0)


def slices(context: Context, op: Slice) -> str:
    strides = _full_strides(context.storage(op.inputs[0]))
    first = sum(start * stride for start, stride in zip(op.starts, strides, strict=True))
    steps = tuple(step * stride for step, stride in zip(op.steps, strides, strict=True))
    shape = context.value(op.output).shape
    return _copy(context, op, shape, steps, context.storage(op.output).strides(), first, 0)


def pad(context: Context, op: Pad) -> str:
    out = context.storage(op.output)
    kind, name = _kinds(out)
    shape = context.value(op.inputs[0]).shape
    to = sum(n * s for n, s in zip(op.before, _full_strides(out), strict=True))
    value = str(context.stored(int(op.value))) if name == "i8" else real(op.value)
    fill = (
        f"    for (ptrdiff_t i = 0; i < {out.height}; i++)\n"
        f"        for (ptrdiff_t j = 0; j < {out.width * out.pitch}; j++)\n"
        f"            (({kind} *)(void *)out.at)[i * {out.row} + j] = {value};\n"
    )
    return fill + _copy(context, op, shape, context.storage(op.inputs[0]).strides(), out.strides(), 0, to)


def _full_strides(storage: Storage) -> tuple[int, ...]:
    """Strides of every axis, those of length 1 too: an offset along them must be 0 anyway but for padding."""
    if storage.image:
        return (0, 1, storage.row, storage.pitch)
    found, step = [1], storage.pitch
    for length in reversed(storage.shape[:-1]):
        found.insert(0, step)
        step *= length
    return tuple(found[: len(storage.shape)]) if storage.shape else ()


def concat(context: Context, op: Concat) -> str:
    """One copy for each input, each in a block of its own that finds the input by its place in the frame."""
    out = context.storage(op.output)
    step, at, text = _full_strides(out)[op.axis], 0, []
    for number, name in enumerate(op.inputs):
        shape = context.value(name).shape
        copy = _copy(context, op, shape, context.storage(name).strides(), out.strides(), 0, at * step)
        place = context.plan.offsets[name] + context.storage(name).first * out.element_bytes
        text.append(f"    a.at = f->arena + {place}; /* input {number} */\n{copy}")
        at += shape[op.axis]
    return "\n".join(text)


def reshape(context: Context, op: Reshape) -> str:
    source, out = context.storage(op.inputs[0]), context.storage(op.output)
    before, after = context.value(op.inputs[0]).shape, context.value(op.output).shape
    common = _common_axes(before, after)
    if common is not None:
        a, b = _refine(before, source.strides(), common), _refine(after, out.strides(), common)
        if a is not None and b is not None and len(common) <= 6:
            return _copy(context, op, common, a, b, 0, 0)
    return _gather(context, op, source, out, before, after)


def _gather(
    context: Context, op: Op, source: Storage, out: Storage, before: tuple[int, ...], after: tuple[int, ...]
) -> str:
    """Element by element, by two lists of offsets in the blob."""
    lists = []
    for storage, shape in ((source, before), (out, after)):
        offsets = np.zeros(shape, np.int32)
        for axis, stride in enumerate(storage.strides()):
            along = np.arange(shape[axis], dtype=np.int32) * stride
            offsets += along.reshape([-1 if i == axis else 1 for i in range(len(shape))])
        lists.append(context.blob.add(offsets.reshape(-1)))
    kind, name = _kinds(out)
    return (
        f"    ss_gather_{name}((const int32_t *)(const void *)(f->weights + {lists[0]}),\n"
        f"        (const int32_t *)(const void *)(f->weights + {lists[1]}), {int(np.prod(after))},\n"
        f"        (const {kind} *)(const void *)a.at, ({kind} *)(void *)out.at);"
    )


def _common_axes(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...] | None:
    """The coarsest axes that both shapes are made of, or None."""
    cuts = sorted({*_cuts(before), *_cuts(after)})
    axes: list[int] = []
    for small, large in pairwise(cuts):
        if large % small:
            return None
        axes.insert(0, large // small)
    return tuple(axes)


def _cuts(shape: tuple[int, ...]) -> list[int]:
    """Elements behind each axis boundary, from 1 to all."""
    found = [1]
    for length in reversed(shape):
        found.append(found[-1] * length)
    return found


def _refine(shape: tuple[int, ...], strides: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...] | None:
    """Strides of the finer axes; None when an axis cuts through the shape."""
    found: list[int] = []
    left = list(axes)
    for length, stride in reversed(list(zip(shape, strides, strict=True))):
        part = 1
        while part < length:
            if not left:
                return None
            size = left.pop()
            found.insert(0, stride * part)
            part *= size
        if part != length:
            return None
    return tuple(found) if not left else None


def read_port(context: Context, port: Port, number: int) -> str:
    """From the caller's memory to the port's value."""
    return _port(context, port, f"f->inputs[{number}]", True)


def write_port(context: Context, port: Port, number: int) -> str:
    """From the port's value to the caller's memory."""
    return _port(context, port, f"f->outputs[{number}]", False)


def _port(context: Context, port: Port, theirs: str, reads: bool) -> str:
    storage, shape = context.storage(port.value), context.value(port.value).shape
    dense: list[int] = []
    step = 1
    for length in reversed(shape):
        dense.insert(0, step if length > 1 else 0)
        step *= length
    ours, outside = storage.strides(), tuple(dense)
    place = context.plan.offsets[port.value] + storage.first * storage.element_bytes
    walk = loops(shape, outside, None, ours) if reads else loops(shape, ours, None, outside)
    kind = "float" if storage.element_bytes == 4 else "uint8_t"
    mine = f"({kind} *)(void *)(f->arena + {place})"
    pair = f"(const {kind} *){theirs}, {mine}"
    if not reads:
        pair = f"(const {kind} *)(const void *)({mine}), ({kind} *){theirs}"
    if kind == "float":
        call = f"ss_copy_f32(&l, {pair});"
    else:
        code_is_signed = port.dtype == "int8"
        call = f"ss_shift_bytes(&l, {128 if code_is_signed != context.signed else 0}, {pair});"
    return f"    {{\n        const ss_loops l = {walk};\n        {call}\n    }}"
