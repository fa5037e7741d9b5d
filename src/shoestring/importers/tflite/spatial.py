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
        shape = graph.shape(operator.outputs[0])
        n, height, width, channels = shape if len(shape) == IMAGE_RANK else (0, 0, 0, 0)
        sizes = graph.numbers(f"{operator.name}.sizes", [n, channels, height, width])
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
    (rows, columns), pads = _blocks(graph, operator, "paddings")
    n, height, width, channels = graph.shape(operator.inputs[0])
    high, wide = height + int(pads[0].sum()), width + int(pads[1].sum())
    name = operator.name
    amounts = graph.numbers(f"{name}.pads", [0, pads[0][0], pads[1][0], 0, 0, pads[0][1], pads[1][1], 0])
    x = graph.node("Pad", [graph.read(operator.inputs[0], PLAIN), amounts], f"{name}.padded")
    x = graph.reshape(x, (n, high // rows, rows, wide // columns, columns, channels), f"{name}.blocks")
    x = graph.node("Transpose", [x], f"{name}.turned", perm=[2, 4, 0, 1, 3, 5])
    graph.give(operator.outputs[0], PLAIN, graph.reshape(x, graph.shape(operator.outputs[0]), name))


def batch_to_space(graph: Graph, operator: Operator) -> None:
    (rows, columns), crops = _blocks(graph, operator, "crops")
    n, height, width, channels = graph.shape(operator.inputs[0])
    batch, name = n // (rows * columns), operator.name
    x = graph.read(operator.inputs[0], PLAIN)
    x = graph.reshape(x, (rows, columns, batch, height, width, channels), f"{name}.blocks")
    x = graph.node("Transpose", [x], f"{name}.turned", perm=[2, 3, 0, 4, 1, 5])
    x = graph.reshape(x, (batch, height * rows, width * columns, channels), f"{name}.whole")
    ends = [height * rows - crops[0][1], width * columns - crops[1][1]]
    parts = {"starts": [crops[0][0], crops[1][0]], "ends": ends, "axes": [1, 2]}
    inputs = [x, *(graph.numbers(f"{name}.{what}", values) for what, values in parts.items())]
    graph.give(operator.outputs[0], PLAIN, graph.node("Slice", inputs, name))


def _blocks(graph: Graph, operator: Operator, what: str) -> tuple[tuple[int, int], Array]:
    block, ends = graph.constant(operator, 1, "block sizes"), graph.constant(operator, 2, what)
    if block.shape != (2,) or ends.shape != (2, 2) or len(graph.shape(operator.inputs[0])) != IMAGE_RANK:
        raise operator.wrong("only blocks of rows and columns are read")
    if (block < 1).any() or (ends < 0).any():
        raise operator.wrong(f"it has blocks of {block.tolist()} and {what} of {ends.tolist()}")
    return (int(block[0]), int(block[1])), ends
