"""Operators that move, join and cut values. All shapes are known, so the file's own answer is the shape to take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shoestring.importers.tflite.activations import finish
from shoestring.importers.tflite.elementwise import operands
from shoestring.importers.tflite.graph import AXIS, IMAGE, IMAGE_RANK, PLAIN, TO_IMAGE, TO_PLAIN, image_shape, is_line
from shoestring.importers.tflite.infer_node import dims_of
from shoestring.importers.tflite.tensors import MAX_ELEMENTS

if TYPE_CHECKING:
    from shoestring.importers.tflite.file import Operator
    from shoestring.importers.tflite.graph import Graph


def axis_of(operator: Operator, axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise operator.wrong(f"axis {axis} is outside its {rank} axes")
    return axis % rank


def laid(layout: str, axis: int) -> int:
    """Where an axis of the file stands in a layout."""
    return AXIS[axis] if layout == IMAGE else axis


def reshape(graph: Graph, operator: Operator) -> None:
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the values in their order, under another shape."""
    source, output = operator.inputs[0], operator.outputs[0]
    before = graph.shape(source)
    after = _TARGETS[operator.kind](graph, operator, before)
    value = graph.value(source)
    if value is not None and value.size == math.prod(after):
        graph.know(output, value.reshape(after))
        return
    # Where the two layouts hold the values in one order, none has to be moved first.
    x = graph.read(source, graph.layout(source) if is_line(before) else PLAIN)
    layout = IMAGE if is_line(after) else PLAIN
    graph.give(output, layout, graph.reshape(x, image_shape(after) if layout == IMAGE else after, operator.name))


def _reshaped(graph: Graph, operator: Operator, before: tuple[int, ...]) -> tuple[int, ...]:
    """The second input, or the option of old files; one size of -1 takes what is left."""
    sizes = graph.integers(operator, 1, "sizes") if graph.has(operator, 1) else list(operator.lists.get("NewShape", ()))
    if -1 in sizes:
        rest = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = math.prod(before) // max(rest, 1)
    if math.prod(sizes) != math.prod(before) or min(sizes, default=0) < 0:
        raise operator.wrong(f"it makes {sizes} of {list(before)}")
    return tuple(sizes)


def _squeezed(_: Graph, operator: Operator, before: tuple[int, ...]) -> tuple[int, ...]:
    """Without the axes named, or without all of size 1 when none is."""
    named = operator.lists.get("SqueezeDims", ())
    gone = {axis_of(operator, axis, len(before)) for axis in named} or {i for i, size in enumerate(before) if size == 1}
    if any(before[axis] != 1 for axis in gone):
        raise operator.wrong(f"it drops the axes {sorted(gone)} of {list(before)}")
    return tuple(size for axis, size in enumerate(before) if axis not in gone)


def _expanded(graph: Graph, operator: Operator, before: tuple[int, ...]) -> tuple[int, ...]:
    axis = axis_of(operator, graph.integers(operator, 1, "axes")[0], len(before) + 1)
    return (*before[:axis], 1, *before[axis:])


_TARGETS = {"RESHAPE": _reshaped, "SQUEEZE": _squeezed, "EXPAND_DIMS": _expanded}


def transpose(graph: Graph, operator: Operator) -> None:
    """A transposition from one layout to the other is only another name for what is there."""
    source, output = operator.inputs[0], operator.outputs[0]
    perm = tuple(graph.integers(operator, 1, "axes"))
    if sorted(perm) != list(range(len(graph.shape(source)))):
        raise operator.wrong(f"{list(perm)} does not name each of its axes once")
    if perm == TO_IMAGE and graph.layout(source) == IMAGE:
        graph.give(output, PLAIN, graph.read(source, IMAGE))
    elif perm == TO_PLAIN and graph.layout(source) == PLAIN and graph.value(source) is None:
        graph.give(output, IMAGE, graph.read(source, PLAIN))
    else:
        x = graph.read(source, PLAIN)
        graph.give(output, PLAIN, graph.node("Transpose", [x], operator.name, perm=list(perm)))


def concatenation(graph: Graph, operator: Operator) -> None:
    axis = axis_of(operator, operator.integer("Axis"), len(graph.shape(operator.inputs[0])))
    names, layout = operands(graph, operator)
    finish(graph, operator, graph.node("Concat", names, operator.name, axis=laid(layout, axis)), layout)


def split(graph: Graph, operator: Operator) -> None:
    """Inputs: axis, values. Parts of one size."""
    count = len(operator.outputs)
    axis = axis_of(operator, graph.integers(operator, 0, "axes")[0], len(graph.shape(operator.inputs[1])))
    size = graph.shape(operator.inputs[1])[axis]
    if size % count:
        raise operator.wrong(f"{count} equal parts of {size} are asked for")
    _split(graph, operator, operator.inputs[1], axis, [size // count] * count)


def split_v(graph: Graph, operator: Operator) -> None:
    """Inputs: values, sizes, axis. One size of -1 takes what is left."""
    shape = graph.shape(operator.inputs[0])
    axis = axis_of(operator, graph.integers(operator, 2, "axes")[0], len(shape))
    sizes = graph.integers(operator, 1, "sizes")
    if -1 in sizes:
        sizes[sizes.index(-1)] = shape[axis] - sum(size for size in sizes if size != -1)
    _split(graph, operator, operator.inputs[0], axis, sizes)


def _split(graph: Graph, operator: Operator, source: int, axis: int, sizes: list[int]) -> None:
    if len(sizes) != len(operator.outputs) or min(sizes) < 0 or sum(sizes) != graph.shape(source)[axis]:
        raise operator.wrong(f"parts of {sizes} do not make {graph.shape(source)[axis]}")
    layout = graph.layout(source) if len(graph.shape(source)) == IMAGE_RANK else PLAIN
    parts = graph.numbers(f"{operator.name}.sizes", sizes)
    names = [f"{operator.name}.{i}" for i in range(len(operator.outputs))]
    graph.nodes_with(names, "Split", [graph.read(source, layout), parts], axis=laid(layout, axis))
    for output, name in zip(operator.outputs, names, strict=True):
        graph.give(output, layout, name)


def pack(graph: Graph, operator: Operator) -> None:
    """Joins along a new axis."""
    shape = graph.shape(operator.inputs[0])
    axis = axis_of(operator, operator.integer("Axis"), len(shape) + 1)
    one = (*shape[:axis], 1, *shape[axis:])
    if any(graph.shape(number) != shape for number in operator.inputs):
        raise operator.wrong("its inputs have different shapes")
    parts = [
        graph.reshape(graph.read(number, PLAIN), one, f"{operator.name}.{i}")
        for i, number in enumerate(operator.inputs)
    ]
    graph.give(operator.outputs[0], PLAIN, graph.node("Concat", parts, operator.name, axis=axis))


def unpack(graph: Graph, operator: Operator) -> None:
    """Takes an axis apart."""
    source, shape = operator.inputs[0], graph.shape(operator.inputs[0])
    axis = axis_of(operator, operator.integer("Axis"), len(shape))
    names = [f"{operator.name}.{i}" for i in range(len(operator.outputs))]
    sizes = graph.numbers(f"{operator.name}.sizes", [1] * len(names))
    graph.nodes_with(names, "Split", [graph.read(source, PLAIN), sizes], axis=axis)
    for output, name in zip(operator.outputs, names, strict=True):
        graph.give(output, PLAIN, graph.reshape(name, (*shape[:axis], *shape[axis + 1 :]), f"{name}.flat"))


def slice_(graph: Graph, operator: Operator) -> None:
    """Inputs: values, begins, sizes; a size of -1 goes to the end."""
    begins, sizes = graph.integers(operator, 1, "begins"), graph.integers(operator, 2, "sizes")
    shape = graph.shape(operator.inputs[0])
    if not len(begins) == len(sizes) == len(shape):
        raise operator.wrong("its begins and sizes do not fit its input")
    ends = [size if length < 0 else begin + length for begin, length, size in zip(begins, sizes, shape, strict=True)]
    _cut(graph, operator, begins, ends, [1] * len(shape), ())


def strided_slice(graph: Graph, operator: Operator) -> None:
    """Inputs: values, begins, ends, steps, with bits that replace some of them (kernels/strided_slice.cc)."""
    for mask in ("EllipsisMask", "NewAxisMask"):
        if operator.integer(mask):
            raise operator.wrong(f"{mask} is not read", hint="convert the model with explicit axes")
    shape = graph.shape(operator.inputs[0])
    begins, ends, steps = (
        graph.integers(operator, place, what) for place, what in ((1, "begins"), (2, "ends"), (3, "steps"))
    )
    if not len(begins) == len(ends) == len(steps) <= len(shape) or 0 in steps:
        raise operator.wrong("its begins, ends and steps do not fit its input")
    dropped = tuple(axis for axis in range(len(begins)) if operator.integer("ShrinkAxisMask") & 1 << axis)
    for axis, (begin, step) in enumerate(zip(begins, steps, strict=True)):
        bit = 1 << axis
        if axis in dropped:
            begin %= max(shape[axis], 1)
            begins[axis], ends[axis], steps[axis] = begin, begin + 1, 1
            continue
        if operator.integer("BeginMask") & bit:
            begins[axis] = 0 if step > 0 else shape[axis] - 1
        if operator.integer("EndMask") & bit:
            ends[axis] = shape[axis] if step > 0 else -shape[axis] - 1
    _cut(graph, operator, begins, ends, steps, dropped)


def _cut(
    graph: Graph, operator: Operator, begins: list[int], ends: list[int], steps: list[int], dropped: tuple[int, ...]
) -> None:
    source, output = operator.inputs[0], operator.outputs[0]
    layout = graph.layout(source) if len(graph.shape(source)) == IMAGE_RANK and not dropped else PLAIN
    parts = {
        "begins": begins,
        "ends": ends,
        "axes": [laid(layout, axis) for axis in range(len(begins))],
        "steps": steps,
    }
    inputs = [graph.read(source, layout)]
    inputs += [graph.numbers(f"{operator.name}.{what}", values) for what, values in parts.items()]
    x = graph.node("Slice", inputs, operator.name)
    if dropped:
        after = tuple(size for axis, size in enumerate(dims_of(graph.types[x])) if axis not in dropped)
        x = graph.reshape(x, after, f"{operator.name}.shrunk")
    graph.give(output, layout, x)


def gather(graph: Graph, operator: Operator) -> None:
    if operator.integer("BatchDims"):
        raise operator.wrong("BatchDims is not read")
    names = [graph.read(number, PLAIN) for number in operator.inputs[:2]]
    axis = axis_of(operator, operator.integer("Axis"), len(graph.shape(operator.inputs[0])))
    graph.give(operator.outputs[0], PLAIN, graph.node("Gather", names, operator.name, axis=axis))


def gather_nd(graph: Graph, operator: Operator) -> None:
    indices = graph.node("Cast", [graph.read(operator.inputs[1], PLAIN)], f"{operator.name}.indices", to=_INT64)
    x = graph.read(operator.inputs[0], PLAIN)
    graph.give(operator.outputs[0], PLAIN, graph.node("GatherND", [x, indices], operator.name))


def tile(graph: Graph, operator: Operator) -> None:
    times = graph.numbers(f"{operator.name}.times", graph.integers(operator, 1, "multiples"))
    x = graph.read(operator.inputs[0], PLAIN)
    graph.give(operator.outputs[0], PLAIN, graph.node("Tile", [x, times], operator.name))


def broadcast_to(graph: Graph, operator: Operator) -> None:
    shape = graph.numbers(f"{operator.name}.shape", graph.integers(operator, 1, "sizes"))
    x = graph.read(operator.inputs[0], PLAIN)
    graph.give(operator.outputs[0], PLAIN, graph.node("Expand", [x, shape], operator.name))


def shape_(graph: Graph, operator: Operator) -> None:
    """SHAPE: known, since all shapes are."""
    dtype = graph.tensor(operator.outputs[0]).dtype or "int32"
    graph.know(operator.outputs[0], np.asarray(graph.shape(operator.inputs[0]), dtype))


def fill(graph: Graph, operator: Operator) -> None:
    """FILL: one value everywhere; ZEROS_LIKE: zero everywhere."""
    if operator.kind == "ZEROS_LIKE":
        shape, value = graph.shape(operator.inputs[0]), np.zeros(1)
    else:
        shape = tuple(graph.integers(operator, 0, "sizes"))
        value = graph.constant(operator, 1, "values").reshape(-1)
    if min(shape, default=1) < 0 or math.prod(shape) > MAX_ELEMENTS:
        raise operator.wrong(f"it makes a result of {list(shape)}")
    graph.know(operator.outputs[0], np.full(shape, value[0], graph.tensor(operator.outputs[0]).dtype or "float32"))


_INT64 = 7  # TensorProto.INT64
