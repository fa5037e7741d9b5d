"""What comes after an operator's sum: its fused activation, or the range of integers that stands for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shoestring.importers.tflite.file import Operator
    from shoestring.importers.tflite.graph import Graph

# ActivationFunctionType of the schema
_NONE, _RELU, _RELU_N1_TO_1, _RELU6 = range(4)
_NEAR = 1e-3  # of 6: what a converter rounds off a scale


def clip(graph: Graph, x: str, name: str, low: float, high: float) -> str:
    ends = [graph.weight(f"{name}.{end}", np.float32(value)) for end, value in (("low", low), ("high", high))]
    return graph.node("Clip", [x, *ends], name)


def finish(graph: Graph, operator: Operator, x: str, layout: str) -> None:
    """Write the activation after `x`, which holds the operator's sum, and give its one output.

    A converter for integers may leave an activation out whose limits are those of the integers anyway. Ranges that
    begin at zero therefore become Relu, and those from 0 to 6 a Clip; all others only say what calibration has seen.
    """
    output, name = operator.outputs[0], f"{operator.name}.act"
    kind = operator.integer("FusedActivationFunction")
    span = graph.tensor(output).span
    if kind == _RELU:
        x = graph.node("Relu", [x], name)
    elif kind == _RELU6:
        x = clip(graph, x, name, 0.0, 6.0)
    elif kind == _RELU_N1_TO_1:
        x = clip(graph, x, name, -1.0, 1.0)
    elif kind != _NONE:
        raise operator.wrong(
            f"the fused activation number {kind} is not read", hint="LiteRT's own kernels leave it out"
        )
    elif span is not None and span[0] == 0:
        x = clip(graph, x, name, 0.0, 6.0) if abs(span[1] - 6) < 6 * _NEAR else graph.node("Relu", [x], name)
    graph.give(output, layout, x)
