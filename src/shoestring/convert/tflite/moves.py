"""Operators that move elements: in whatever order their input lies, as far as that order allows."""

from __future__ import annotations

import numpy as np

from shoestring.convert.tflite.clamps import fused
from shoestring.convert.tflite.emitter import Emitter
from shoestring.convert.tflite.layout import IMAGE, Layout, laid, plain, reshaped, turned
from shoestring.convert.tflite.windows import pad_into
from shoestring.native.form import Concat, Pad, Reshape, Slice, Transpose


def common(emitter: Emitter, names: tuple[str, ...], rank: int) -> Layout:
    """An order for several values of one rank: that of an image among them, else that of the first of full rank."""
    layouts = [emitter.layout(name) for name in names if len(emitter.value(name).shape) == rank]
    if IMAGE in layouts:
        return IMAGE
    return layouts[0] if layouts else plain(rank)


def reshape(emitter: Emitter, op: Reshape) -> None:
    """RESHAPE; an image is turned to N, C, H, W first only where the elements' order demands it."""
    source, result = emitter.source(op), emitter.result(op)
    layout = reshaped(source.shape, result.shape, emitter.layout(source.name))
    tensor = emitter.own(source.name)
    if layout is None:
        tensor, layout = emitter.tensor(source.name, plain(len(source.shape))), plain(len(result.shape))
    shape = laid(result.shape, layout)
    if emitter.flat.shape(tensor) != shape:
        tensor = emitter.reshape(tensor, result, shape)
    emitter.place(op.output, tensor, layout)


def transpose(emitter: Emitter, op: Transpose) -> None:
    """Nothing yet: the same memory under other names of its axes. Who reads it may ask for another order."""
    source = op.inputs[0]
    emitter.place(op.output, emitter.own(source), turned(emitter.layout(source), op.axes))


def concat(emitter: Emitter, op: Concat) -> None:
    layout = common(emitter, op.inputs, len(emitter.result(op).shape))
    tensors = [emitter.tensor(name, layout) for name in op.inputs]
    emitter.flat.operator(
        "CONCATENATION",
        tensors,
        emitter.new(op.output, layout),
        options="Concatenation",
        int8=emitter.result(op).kind == "i8",
        axis=layout.index(op.axis),
        fusedActivationFunction=fused(emitter, "NONE"),
    )


def slices(emitter: Emitter, op: Slice) -> None:
    """STRIDED_SLICE."""
    source, result = emitter.source(op), emitter.result(op)
    layout = emitter.layout(source.name)
    starts = [op.starts[axis] for axis in layout]
    by = [op.steps[axis] for axis in layout]
    ends = [start + step * side for start, step, side in zip(starts, by, laid(result.shape, layout), strict=True)]
    # An end in front of the first element would count from the back: such a side is left open.
    open_ends = sum(1 << place for place, end in enumerate(ends) if end < 0)
    inputs = [emitter.flat.plain(numbers, "int32", "range") for numbers in (starts, ends, by)]
    emitter.flat.operator(
        "STRIDED_SLICE",
        (emitter.own(source.name), *inputs),
        emitter.new(op.output, layout),
        options="StridedSlice",
        int8=source.kind == "i8",
        endMask=open_ends,
    )


def pad(emitter: Emitter, op: Pad) -> None:
    source, result = emitter.source(op), emitter.result(op)
    layout = emitter.layout(source.name)
    behind = np.array(result.shape) - np.array(source.shape) - np.array(op.before)
    before, after = laid(op.before, layout), laid(tuple(int(n) for n in behind), layout)
    made = emitter.new(op.output, layout)
    pad_into(emitter, source, emitter.own(source.name), made, before, after, op.value)
