"""Operators that make one value of many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.importers.tflite.elementwise import onnx_type
from shoestring.importers.tflite.graph import IMAGE, IMAGE_RANK, PLAIN
from shoestring.importers.tflite.shapes import axis_of, laid

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.importers.tflite.file import Operator
    from shoestring.importers.tflite.graph import Graph

_ROWS_AND_COLUMNS = [1, 2]
_AXES_ARE_INPUT = ("ReduceSum",)  # at opset 17; the others have an attribute


def reduce(kind: str) -> Callable[[Graph, Operator], None]:
    """Over constant axes. The mean over rows and columns is a global pool."""

    def write(graph: Graph, operator: Operator) -> None:
        source, output = operator.inputs[0], operator.outputs[0]
        rank = len(graph.shape(source))
        axes = sorted({axis_of(operator, axis, rank) for axis in graph.integers(operator, 1, "axes")})
        keep = bool(operator.options.get("KeepDims"))
        image = rank == IMAGE_RANK and (keep or axes == _ROWS_AND_COLUMNS)
        layout = graph.layout(source) if image else PLAIN
        x = graph.read(source, layout)
        if kind == "ReduceMean" and layout == IMAGE and axes == _ROWS_AND_COLUMNS:
            x = graph.node("GlobalAveragePool", [x], operator.name)
            if not keep:
                x = graph.reshape(x, (graph.shape(source)[0], graph.shape(source)[3]), f"{operator.name}.flat")
        else:
            places = sorted(laid(layout, axis) for axis in axes)
            if kind in _AXES_ARE_INPUT:
                inputs = [x, graph.numbers(f"{operator.name}.axes", places)]
                x = graph.node(kind, inputs, operator.name, keepdims=int(keep))
            else:
                x = graph.node(kind, [x], operator.name, axes=places, keepdims=int(keep))
        graph.give(output, layout if keep else PLAIN, x)

    return write


def arg(kind: str) -> Callable[[Graph, Operator], None]:
    """The place of the largest or smallest value; the first of several."""

    def write(graph: Graph, operator: Operator) -> None:
        source, output = operator.inputs[0], operator.outputs[0]
        axis = axis_of(operator, graph.integers(operator, 1, "axes")[0], len(graph.shape(source)))
        x = graph.node(kind, [graph.read(source, PLAIN)], f"{operator.name}.place", axis=axis, keepdims=0)
        to = onnx_type(operator, graph.tensor(output).dtype)
        graph.give(output, PLAIN, graph.node("Cast", [x], operator.name, to=to))

    return write


def cumsum(graph: Graph, operator: Operator) -> None:
    axis = graph.weight(f"{operator.name}.axis", np.int64(graph.integers(operator, 1, "axes")[0]))
    attributes = {key.lower(): int(bool(operator.options.get(key))) for key in ("Exclusive", "Reverse")}
    x = graph.read(operator.inputs[0], PLAIN)
    graph.give(operator.outputs[0], PLAIN, graph.node("CumSum", [x, axis], operator.name, **attributes))


def top_k(graph: Graph, operator: Operator) -> None:
    """Values and places of the largest, along the last axis."""
    k = graph.numbers(f"{operator.name}.k", graph.integers(operator, 1, "count")[:1])
    names = [operator.name, f"{operator.name}.places"]
    graph.nodes_with(names, "TopK", [graph.read(operator.inputs[0], PLAIN), k], axis=-1)
    graph.give(operator.outputs[0], PLAIN, names[0])
    to = onnx_type(operator, graph.tensor(operator.outputs[1]).dtype)
    graph.give(operator.outputs[1], PLAIN, graph.node("Cast", [names[1]], f"{operator.name}.indices", to=to))
