"""Operators that work value by value, with broadcasting; they run in the layout that their operands already have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from shoestring.importers.require import helper
from shoestring.importers.tflite.activations import clip, finish
from shoestring.importers.tflite.graph import IMAGE, IMAGE_RANK, PLAIN
from shoestring.importers.tflite.tensors import NUMPY_OF

if TYPE_CHECKING:
    from shoestring.importers.tflite.file import Operator
    from shoestring.importers.tflite.graph import Graph

Write = Callable[["Graph", "Operator"], None]


def operands(graph: Graph, operator: Operator) -> tuple[list[str], str]:
    """All inputs in one layout: IMAGE when the result has four axes and an operand stands so already."""
    four = max(len(graph.shape(number)) for number in operator.inputs) == IMAGE_RANK
    layout = graph.layout(*operator.inputs) if four else PLAIN
    return [graph.read(number, layout) for number in operator.inputs], layout


def binary(kind: str) -> Write:
    """One ONNX node with the same operands, then the fused activation."""

    def write(graph: Graph, operator: Operator) -> None:
        names, layout = operands(graph, operator)
        finish(graph, operator, graph.node(kind, names, operator.name), layout)

    return write


def plain_node(kind: str, **attributes: float) -> Write:
    """One ONNX node with the same operands."""

    def write(graph: Graph, operator: Operator) -> None:
        names, layout = operands(graph, operator)
        graph.give(operator.outputs[0], layout, graph.node(kind, names, operator.name, **attributes))

    return write


def clipped(low: float, high: float) -> Write:
    def write(graph: Graph, operator: Operator) -> None:
        names, layout = operands(graph, operator)
        graph.give(operator.outputs[0], layout, clip(graph, names[0], operator.name, low, high))

    return write


def same(graph: Graph, operator: Operator) -> None:
    """QUANTIZE, DEQUANTIZE and DENSIFY: the real numbers stay what they are."""
    graph.same(operator.outputs[0], operator.inputs[0])


def add_n(graph: Graph, operator: Operator) -> None:
    names, layout = operands(graph, operator)
    graph.give(operator.outputs[0], layout, graph.node("Sum", names, operator.name))


def cast(graph: Graph, operator: Operator) -> None:
    names, layout = operands(graph, operator)
    kind = graph.tensor(operator.outputs[0])
    graph.give(
        operator.outputs[0], layout, graph.node("Cast", names, operator.name, to=onnx_type(operator, kind.dtype))
    )


def onnx_type(operator: Operator, dtype: str) -> int:
    if dtype not in NUMPY_OF:
        raise operator.wrong(f"its result has the type {dtype or 'unknown'}, which is not read")
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def negated(kind: str) -> Write:
    def write(graph: Graph, operator: Operator) -> None:
        names, layout = operands(graph, operator)
        inner = graph.node(kind, names, f"{operator.name}.positive")
        graph.give(operator.outputs[0], layout, graph.node("Not", [inner], operator.name))

    return write


def floor_div(graph: Graph, operator: Operator) -> None:
    if graph.tensor(operator.outputs[0]).dtype != "float32":
        raise operator.wrong("division towards minus infinity is read for float32 only")
    names, layout = operands(graph, operator)
    quotient = graph.node("Div", names, f"{operator.name}.quotient")
    graph.give(operator.outputs[0], layout, graph.node("Floor", [quotient], operator.name))


def floor_mod(graph: Graph, operator: Operator) -> None:
    """x - floor(x / y) * y for float; ONNX's Mod of integers follows the divisor's sign as this one does."""
    names, layout = operands(graph, operator)
    name = operator.name
    if graph.tensor(operator.outputs[0]).dtype != "float32":
        graph.give(operator.outputs[0], layout, graph.node("Mod", names, name))
        return
    whole = graph.node("Floor", [graph.node("Div", names, f"{name}.quotient")], f"{name}.whole")
    product = graph.node("Mul", [whole, names[1]], f"{name}.product")
    graph.give(operator.outputs[0], layout, graph.node("Sub", [names[0], product], name))


def squared_difference(graph: Graph, operator: Operator) -> None:
    names, layout = operands(graph, operator)
    difference = graph.node("Sub", names, f"{operator.name}.difference")
    graph.give(operator.outputs[0], layout, graph.node("Mul", [difference, difference], operator.name))


def square(graph: Graph, operator: Operator) -> None:
    names, layout = operands(graph, operator)
    graph.give(operator.outputs[0], layout, graph.node("Mul", [names[0], names[0]], operator.name))


def rsqrt(graph: Graph, operator: Operator) -> None:
    names, layout = operands(graph, operator)
    root = graph.node("Sqrt", names, f"{operator.name}.root")
    graph.give(operator.outputs[0], layout, graph.node("Reciprocal", [root], operator.name))


def leaky_relu(graph: Graph, operator: Operator) -> None:
    names, layout = operands(graph, operator)
    alpha = float(operator.options.get("Alpha", 0.0))
    graph.give(operator.outputs[0], layout, graph.node("LeakyRelu", names, operator.name, alpha=alpha))


def gelu(graph: Graph, operator: Operator) -> None:
    """x / 2 (1 + erf(x / sqrt 2)), or its form with tanh (Hendrycks and Gimpel, 2016, arXiv 1606.08415)."""
    (x,), layout = operands(graph, operator)
    name = operator.name

    def number(what: str, value: float) -> str:
        return graph.weight(f"{name}.{what}", np.float32(value))

    if operator.options.get("Approximate"):
        cube = graph.node("Mul", [graph.node("Mul", [x, x], f"{name}.square"), x], f"{name}.cube")
        part = graph.node("Mul", [cube, number("third", 0.044715)], f"{name}.part")
        inner = graph.node("Add", [x, part], f"{name}.inner")
        scaled = graph.node("Mul", [inner, number("scale", math.sqrt(2 / math.pi))], f"{name}.scaled")
        gate = graph.node("Tanh", [scaled], f"{name}.tanh")
    else:
        scaled = graph.node("Mul", [x, number("scale", math.sqrt(0.5))], f"{name}.scaled")
        gate = graph.node("Erf", [scaled], f"{name}.erf")
    raised = graph.node("Add", [gate, number("one", 1.0)], f"{name}.raised")
    half = graph.node("Mul", [x, number("half", 0.5)], f"{name}.halved")
    graph.give(operator.outputs[0], layout, graph.node("Mul", [half, raised], name))


def softmax(kind: str) -> Write:
    """Over the last axis, which is the channels of an image."""

    def write(graph: Graph, operator: Operator) -> None:
        names, layout = operands(graph, operator)
        x, beta = names[0], float(operator.options.get("Beta", 1.0))
        if beta != 1:
            x = graph.node(
                "Mul", [x, graph.weight(f"{operator.name}.beta", np.float32(beta))], f"{operator.name}.scaled"
            )
        axis = 1 if layout == IMAGE else -1
        graph.give(operator.outputs[0], layout, graph.node(kind, [x], operator.name, axis=axis))

    return write


def l2_normalization(graph: Graph, operator: Operator) -> None:
    """x / sqrt(max(sum of squares, 1e-6)) over the last axis."""
    (x,), layout = operands(graph, operator)
    name = operator.name
    axes = graph.numbers(f"{name}.axes", [1 if layout == IMAGE else len(graph.shape(operator.inputs[0])) - 1])
    total = graph.node("ReduceSum", [graph.node("Mul", [x, x], f"{name}.squares"), axes], f"{name}.sum")
    floor = graph.node("Max", [total, graph.weight(f"{name}.floor", np.float32(1e-6))], f"{name}.floored")
    finish(graph, operator, graph.node("Div", [x, graph.node("Sqrt", [floor], f"{name}.norm")], name), layout)


def select(graph: Graph, operator: Operator) -> None:
    """Where the condition holds the first value, else the second. The old form that chooses whole rows is refused."""
    shapes = [graph.shape(number) for number in operator.inputs]
    if operator.kind == "SELECT" and len(shapes[0]) != len(shapes[1]):
        raise operator.wrong(f"a condition of shape {list(shapes[0])} for values of {list(shapes[1])} is not read")
    names, layout = operands(graph, operator)
    graph.give(operator.outputs[0], layout, graph.node("Where", names, operator.name))
