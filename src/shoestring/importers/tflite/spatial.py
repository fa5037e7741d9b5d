"""Operators on rows and columns: pools, padding, resizing, blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.importers.tflite.activations import finish
from shoestring.importers.tflite.convolutions import window
from shoestring.importers.tflite.graph import IMAGE, IMAGE_RANK, PLAIN, TO_IMAGE, Pad

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.importers.tflite.file import Operator
    from shoestring.importers.tflite.graph import Graph
    from shoestring.importers.tflite.tensors import Array

_REFLECT = 0


def pool(kind: str) -> Callable[[Graph, Operator], None]:
    """Zeros of SAME count for nothing in either pool."""

    def write(graph: Graph, operator: Operator) -> None:
        size = graph.shape(operator.inputs[0])
        if len(size) != IMAGE_RANK:
            raise operator.wrong(f"its input has the shape {list(size)}, not four axes")
        kernel = operator.integer("FilterHeight"), operator.integer("FilterWidth")
        strides = operator.integer("StrideH"), operator.integer("StrideW")
        axes = [window(operator, size[i + 1], kernel[i], strides[i], 1) for i in (0, 1)]
        pads = [axes[0][1], axes[1][1], axes[0][2], axes[1][2]]
        x = graph.read(operator.inputs[0], IMAGE)
        if kind == "AveragePool" and kernel == size[1:3] and not any(pads):
            tensor = graph.node("GlobalAveragePool", [x], operator.name)
        else:
            attributes = {"kernel_shape": list(kernel), "strides": list(strides), "pads": pads}
            tensor = graph.node(kind, [x], operator.name, **attributes)
        finish(graph, operator, tensor, IMAGE)

    return write


def pad(graph: Graph, operator: Operator) -> None:
    """PAD and PADV2. Zeros around an image wait for their reader: a convolution can do them itself."""
    amounts = _amounts(graph, operator)
    value = graph.constant(operator, 2, "padding").reshape(-1) if graph.has(operator, 2) else np.zeros(1, np.float32)
    source, output = operator.inputs[0], operator.outputs[0]
    if len(amounts) == IMAGE_RANK and not amounts[[0, 3]].any() and not value.any():
        (top, bottom), (left, right) = amounts[1], amounts[2]
        graph.set_shape(output, tuple(int(n) for n in amounts.sum(axis=1) + graph.shape(source)))
        graph.pads[output] = Pad(source, (int(top), int(left), int(bottom), int(right)))
        graph.late[output] = lambda: _pad(graph, operator, amounts, "constant", value)
    else:
        _pad(graph, operator, amounts, "constant", value)


def mirror_pad(graph: Graph, operator: Operator) -> None:
    if operator.integer("Mode") != _REFLECT:
        raise operator.wrong(
            "padding that repeats the edge's own value is not in ONNX", hint="use the mode REFLECT, or pad the input"
        )
    _pad(graph, operator, _amounts(graph, operator), "reflect", None)


def _amounts(graph: Graph, operator: Operator) -> Array:
    """(rank, 2): before and after, by axis."""
    amounts = graph.constant(operator, 1, "paddings")
    if amounts.shape != (len(graph.shape(operator.inputs[0])), 2) or (amounts < 0).any():
        raise operator.wrong(f"paddings of the shape {list(amounts.shape)} do not fit its input, or some are negative")
    return amounts.astype(np.int64)


def _pad(graph: Graph, operator: Operator, amounts: Array, mode: str, value: Array | None) -> None:
    source = operator.inputs[0]
    layout = graph.layout(source)
    if layout == IMAGE:
        amounts = amounts[list(TO_IMAGE)]
    inputs = [graph.read(source, layout), graph.numbers(f"{operator.name}.pads", amounts.T.reshape(-1))]
    if value is not None:
        dtype = graph.tensor(source).dtype
        inputs.append(graph.weight(f"{operator.name}.value", value[0].astype(dtype)))
    graph.give(operator.outputs[0], layout, graph.node("Pad", inputs, operator.name, mode=mode))


def resize(mode: str) -> Callable[[Graph, Operator], None]:
    """kernels/internal/reference/resize_*.h: three ways to place the pixels, and halves go up."""

    def write(graph: Graph, operator: Operator) -> None:
        shape, size = graph.shape(operator.inputs[0]), graph.integers(operator, 1, "sizes")
        if len(shape) != IMAGE_RANK or len(size) != 2 or min(size) < 1:
            raise operator.wrong(f"it makes {size} rows and columns of an input of {list(shape)}")
        sizes = graph.numbers(f"{operator.name}.sizes", [shape[0], shape[3], *size])
        how, rounding = "asymmetric", "floor"
        if operator.options.get("AlignCorners"):
            how, rounding = "align_corners", "round_prefer_ceil"
        elif operator.options.get("HalfPixelCenters"):
            how, rounding = "half_pixel", "round_prefer_ceil"
        attributes = {"mode": mode, "coordinate_transformation_mode": how}
        if mode == "nearest":
            attributes["nearest_mode"] = rounding
        inputs = [graph.read(operator.inputs[0], IMAGE), "", "", sizes]
        graph.give(operator.outputs[0], IMAGE, graph.node("Resize", inputs, operator.name, **attributes))

    return write


def depth_to_space(graph: Graph, operator: Operator) -> None:
    x, block = graph.read(operator.inputs[0], IMAGE), operator.integer("BlockSize")
    graph.give(operator.outputs[0], IMAGE, graph.node("DepthToSpace", [x], operator.name, blocksize=block, mode="DCR"))


def space_to_depth(graph: Graph, operator: Operator) -> None:
    x, block = graph.read(operator.inputs[0], IMAGE), operator.integer("BlockSize")
    graph.give(operator.outputs[0], IMAGE, graph.node("SpaceToDepth", [x], operator.name, blocksize=block))


def space_to_batch(graph: Graph, operator: Operator) -> None:
    """Old converters write a dilated convolution as: blocks to the batch, convolve, and back."""
    block, pads = _blocks(graph, operator, "paddings")
    name, n, *rest = operator.name, *graph.shape(operator.inputs[0])
    m = len(block)
    inner, tail = [size + int(ends.sum()) for size, ends in zip(rest[:m], pads, strict=True)], rest[m:]
    if any(size % step for size, step in zip(inner, block, strict=True)):
        raise operator.wrong(f"blocks of {block} do not divide {inner}")
    before, after = ([0, *(int(ends[i]) for ends in pads), *[0] * len(tail)] for i in (0, 1))
    x = graph.node(
        "Pad", [graph.read(operator.inputs[0], PLAIN), graph.numbers(f"{name}.pads", before + after)], f"{name}.padded"
    )
    parts = [part for size, step in zip(inner, block, strict=True) for part in (size // step, step)]
    x = graph.reshape(x, (n, *parts, *tail), f"{name}.blocks")
    steps, wholes = [2 * i + 2 for i in range(m)], [2 * i + 1 for i in range(m)]
    last = [2 * m + 1 + i for i in range(len(tail))]
    x = graph.node("Transpose", [x], f"{name}.turned", perm=[*steps, 0, *wholes, *last])
    shape = (n * int(np.prod(block)), *parts[::2], *tail)
    graph.give(operator.outputs[0], PLAIN, graph.reshape(x, shape, name))


def batch_to_space(graph: Graph, operator: Operator) -> None:
    block, crops = _blocks(graph, operator, "crops")
    name, n, *rest = operator.name, *graph.shape(operator.inputs[0])
    m, batch = len(block), n // int(np.prod(block))
    inner, tail = rest[:m], rest[m:]
    x = graph.reshape(graph.read(operator.inputs[0], PLAIN), (*block, batch, *inner, *tail), f"{name}.blocks")
    pairs = [axis for i in range(m) for axis in (m + 1 + i, i)]
    x = graph.node("Transpose", [x], f"{name}.turned", perm=[m, *pairs, *[2 * m + 1 + i for i in range(len(tail))]])
    whole = [size * step for size, step in zip(inner, block, strict=True)]
    x = graph.reshape(x, (batch, *whole, *tail), f"{name}.whole")
    ends = [size - int(crop[1]) for size, crop in zip(whole, crops, strict=True)]
    parts = {"starts": crops[:, 0], "ends": ends, "axes": list(range(1, m + 1))}
    inputs = [x, *(graph.numbers(f"{name}.{what}", values) for what, values in parts.items())]
    graph.give(operator.outputs[0], PLAIN, graph.node("Slice", inputs, name))


def _blocks(graph: Graph, operator: Operator, what: str) -> tuple[list[int], Array]:
    block, ends = graph.integers(operator, 1, "block sizes"), graph.constant(operator, 2, what)
    if ends.shape != (len(block), 2) or not 1 <= len(block) < len(graph.shape(operator.inputs[0])):
        raise operator.wrong(f"blocks of {block} and {what} of {ends.tolist()} do not fit its input")
    if min(block) < 1 or (ends < 0).any():
        raise operator.wrong(f"it has blocks of {block} and {what} of {ends.tolist()}")
    return block, ends
