"""Operators with weights.

Semantics: tensorflow/lite/kernels and kernels/padding.h of github.com/tensorflow/tensorflow.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shoestring.importers.tflite.activations import finish
from shoestring.importers.tflite.graph import IMAGE, PLAIN
from shoestring.importers.tflite.tensors import Array, Quantization, dequantize

if TYPE_CHECKING:
    from shoestring.importers.tflite.file import Operator
    from shoestring.importers.tflite.graph import Graph

SAME, VALID = 0, 1


def window(operator: Operator, size: int, kernel: int, step: int, dilation: int) -> tuple[int, int, int]:
    """Result, zeros before and after along one axis. SAME gives ceil(size / step), and an odd zero comes after."""
    if min(kernel, step, dilation) < 1:
        raise operator.wrong(f"it has a kernel of {kernel}, a stride of {step} and a dilation of {dilation}")
    span = (kernel - 1) * dilation + 1
    if operator.integer("Padding") == VALID:
        return (size - span) // step + 1, 0, 0
    count = math.ceil(size / step)
    total = max((count - 1) * step + span - size, 0)
    return count, total // 2, total - total // 2


def steps(operator: Operator) -> tuple[tuple[int, int], tuple[int, int]]:
    """Strides and dilations, rows first."""
    strides = operator.integer("StrideH"), operator.integer("StrideW")
    return strides, (operator.integer("DilationHFactor", 1), operator.integer("DilationWFactor", 1))


def bias_of(graph: Graph, operator: Operator, place: int, channels: int) -> Array:
    """One float a channel. Integer biases are in units of input scale times weight scale."""
    if not graph.has(operator, place):
        return np.zeros(channels, np.float32)
    tensor = graph.tensor(operator.inputs[place])
    x, weight = (graph.tensor(operator.inputs[i]).quantization for i in (0, 1))
    if tensor.kind in ("INT32", "INT64") and x is not None and weight is not None and tensor.data is not None:
        scale = np.asarray(x.scale.astype(np.float64) * weight.scale.astype(np.float64))
        found = dequantize(tensor.data, Quantization(scale, np.zeros(scale.size, np.int64), 0))
    else:
        found = graph.constant(operator, place, "biases")
    if found.shape != (channels,):
        raise operator.wrong(f"its bias has the shape {list(found.shape)}, not [{channels}]")
    return found.astype(np.float32)


def kernel_of(graph: Graph, operator: Operator, place: int = 1) -> Array:
    """Weights with four axes."""
    found = graph.constant(operator, place, "weights")
    if found.ndim != 4:
        raise operator.wrong(f"its weights have the shape {list(found.shape)}, not four axes")
    return found


def conv_2d(graph: Graph, operator: Operator) -> None:
    """Weights (out, rows, columns, in / groups)."""
    kernel = kernel_of(graph, operator).transpose(0, 3, 1, 2)
    channels = graph.shape(operator.inputs[0])[-1]
    if not kernel.shape[1] or channels % kernel.shape[1]:
        raise operator.wrong(f"its weights take {kernel.shape[1]} channels of {channels}")
    _convolve(graph, operator, kernel, channels // kernel.shape[1])


def depthwise_conv_2d(graph: Graph, operator: Operator) -> None:
    """Weights (1, rows, columns, in * multiplier)."""
    kernel = kernel_of(graph, operator).transpose(3, 0, 1, 2)
    channels = graph.shape(operator.inputs[0])[-1]
    if kernel.shape[1] != 1 or not channels or kernel.shape[0] % channels:
        raise operator.wrong(f"its weights have {kernel.shape[0]} channels for an input of {channels}")
    _convolve(graph, operator, kernel, channels)


def _convolve(graph: Graph, operator: Operator, kernel: Array, groups: int) -> None:
    strides, dilations = steps(operator)
    source, size = operator.inputs[0], graph.shape(operator.inputs[0])
    axes = [window(operator, size[i + 1], kernel.shape[i + 2], strides[i], dilations[i]) for i in (0, 1)]
    pads = [axes[0][1], axes[1][1], axes[0][2], axes[1][2]]
    padded = graph.pads.get(source)
    if padded is not None:  # zeros around zeros: one padding does both
        source, pads = padded.source, [a + b for a, b in zip(pads, padded.pads, strict=True)]
    bias = bias_of(graph, operator, 2, kernel.shape[0])
    inputs = [graph.read(source, IMAGE), graph.weight(f"{operator.name}.weight", kernel)]
    if bias.any():
        inputs.append(graph.weight(f"{operator.name}.bias", bias))
    tensor = graph.node(
        "Conv",
        inputs,
        operator.name,
        kernel_shape=list(kernel.shape[2:]),
        strides=list(strides),
        dilations=list(dilations),
        pads=pads,
        group=groups,
    )
    finish(graph, operator, tensor, IMAGE)


def transpose_conv(graph: Graph, operator: Operator) -> None:
    """Inputs: shape of the result, weights (out, rows, columns, in), values, bias. The padding is that of the
    convolution which this one undoes."""
    kernel = kernel_of(graph, operator).transpose(3, 0, 1, 2)
    source, result = operator.inputs[2], graph.integers(operator, 0, "sizes")
    size, (strides, _) = graph.shape(source), steps(operator)
    if len(result) != len(size) or len(size) != 4:
        raise operator.wrong(f"it makes {result} of an input of {list(size)}")
    pads, more = [0, 0, 0, 0], [0, 0]
    for i in (0, 1):
        full = (size[i + 1] - 1) * strides[i] + kernel.shape[i + 2]
        total = max(full - result[i + 1], 0) if operator.integer("Padding") == SAME else 0
        pads[i], pads[i + 2] = total // 2, total - total // 2
        more[i] = result[i + 1] - (full - total)
    if min(*more, 0) < 0 or max(more) >= max(*strides, 1):
        raise operator.wrong(f"its result {result} does not follow from its input {list(size)}")
    inputs = [graph.read(source, IMAGE), graph.weight(f"{operator.name}.weight", kernel)]
    if graph.has(operator, 3):
        inputs.append(graph.weight(f"{operator.name}.bias", _undone_bias(graph, operator, kernel.shape[1])))
    attributes = {"kernel_shape": list(kernel.shape[2:]), "strides": list(strides), "pads": pads}
    finish(
        graph, operator, graph.node("ConvTranspose", inputs, operator.name, output_padding=more, **attributes), IMAGE
    )


def _undone_bias(graph: Graph, operator: Operator, channels: int) -> Array:
    found = graph.constant(operator, 3, "biases")
    if found.shape != (channels,):
        raise operator.wrong(f"its bias has the shape {list(found.shape)}, not [{channels}]")
    return found.astype(np.float32)


def fully_connected(graph: Graph, operator: Operator) -> None:
    """Weights (out, in); the input's last axes are flattened to `in`."""
    if operator.integer("WeightsFormat"):
        raise operator.wrong("its weights are shuffled for one kind of processor", hint="convert the model without it")
    source, weight = operator.inputs[0], operator.inputs[1]
    if len(graph.shape(weight)) != 2:  # out, in
        raise operator.wrong(f"its weights have the shape {list(graph.shape(weight))}, not two axes")
    outputs, inputs = graph.shape(weight)
    count = math.prod(graph.shape(source))
    if not inputs or count % inputs:
        raise operator.wrong(f"it takes {inputs} values of an input of {list(graph.shape(source))}")
    x = graph.read(source, PLAIN)
    if graph.shape(source) != (count // inputs, inputs):
        x = graph.reshape(x, (count // inputs, inputs), f"{operator.name}.rows")
    bias = graph.weight(f"{operator.name}.bias", bias_of(graph, operator, 2, outputs))
    tensor = graph.node("Gemm", [x, graph.read(weight, PLAIN), bias], operator.name, transB=1)
    if operator.options.get("KeepNumDims") and len(graph.shape(source)) != 2:
        tensor = graph.reshape(tensor, (*graph.shape(source)[:-1], outputs), f"{operator.name}.shaped")
    finish(graph, operator, tensor, PLAIN)


def batch_matmul(graph: Graph, operator: Operator) -> None:
    """The product of the last two axes, each side transposed first if so asked."""
    names = []
    for place, key in enumerate(("AdjX", "AdjY")):
        name = graph.read(operator.inputs[place], PLAIN)
        if operator.integer(key):
            rank = len(graph.shape(operator.inputs[place]))
            perm = [*range(rank - 2), rank - 1, rank - 2]
            name = graph.node("Transpose", [name], f"{operator.name}.{key.lower()}", perm=perm)
        names.append(name)
    graph.give(operator.outputs[0], PLAIN, graph.node("MatMul", names, operator.name))
