"""Ranges of tensors around functions of one value, each end chosen for itself by what the function makes of it.

A leaky ReLU divides errors below zero by ten, a hard swish forgets all below -3, and what they make is far longer on
one side than on the other: neither end should follow the other. The error is measured behind the function, on what the
next layer reads; otherwise as Nagel et al., "A White Paper on Neural Network Quantization", 2021, section 3.1, do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.graph import Graph, attribute
from shoestring.compress.layers import FUNCTIONS
from shoestring.compress.observe import Range
from shoestring.compress.qdq import affine

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]
Function = Callable[[Array], Array]
LOW_FACTORS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05)
HIGH_FACTORS = tuple(round(1.0 - 0.05 * i, 2) for i in range(11))  # 1 down to half
ROUNDS = 2  # over both ends; more change nothing
MOST_VALUES = 20_000
NORM = 3
"""As in compress.clip."""


def function_around(graph: Graph, tensor: str) -> Function | None:
    """What alone reads the tensor, or the identity where such a function made it; None elsewhere."""
    ahead = _function_ahead(graph, tensor)
    if ahead is not None:
        return ahead
    maker = graph.producers.get(tensor)
    if maker is None:
        return None
    gated = maker.op_type == "Mul" and any(_is_gate_of(graph, name, maker) for name in maker.input)
    return (lambda x: x) if maker.op_type in FUNCTIONS or gated else None


def best_ends(values: Array, span: Range, limits: tuple[int, int], function: Function) -> Range:
    """The range with the least error norm of `function`, its ends found in turns; the widest of equals.

    Args:
        values: of the tensor.
        span: smallest and largest value seen.
        limits: smallest and largest integer of an activation.
        function: what the error is measured behind.
    """
    values = values[:: max(1, len(values) // MOST_VALUES)]
    wanted = function(values)

    def norm(tried: Range) -> float:
        held = affine(tried, limits)
        integers = np.clip(np.rint(values / held.scale) + held.zero_point, *limits)
        error = function((integers - held.zero_point) * held.scale) - wanted
        return float(np.mean(np.abs(error) ** NORM))

    best, lowest = span, norm(span)
    for _ in range(ROUNDS):
        tries = [Range(span.low * factor, best.high) for factor in LOW_FACTORS]
        tries += [Range(0.0, best.high)] if span.low < 0 else []
        best, lowest = _better(best, lowest, tries, norm)
        best, lowest = _better(best, lowest, [Range(best.low, span.high * factor) for factor in HIGH_FACTORS], norm)
    return best


def _better(best: Range, lowest: float, tries: list[Range], norm: Callable[[Range], float]) -> tuple[Range, float]:
    for tried in tries:
        found = norm(tried)
        if found < lowest:
            best, lowest = tried, found
    return best, lowest


def _function_ahead(graph: Graph, tensor: str) -> Function | None:
    readers = graph.consumers.get(tensor, [])
    if tensor in graph.outputs or not readers:
        return None
    if len(readers) == 1:
        return _function(graph, readers[0])
    gates = [node for node in readers if node.op_type == "Sigmoid"]
    products = [node for node in readers if node.op_type == "Mul"]
    if len(readers) == 2 and gates and products and gates[0].output[0] in products[0].input:
        return lambda x: x * _sigmoid(x)
    return None


def _is_gate_of(graph: Graph, name: str, product: onnx.NodeProto) -> bool:
    """Whether `name` is the sigmoid of what the product multiplies it by."""
    maker = graph.producers.get(name)
    return maker is not None and maker.op_type == "Sigmoid" and maker.input[0] in product.input


def _function(graph: Graph, node: onnx.NodeProto) -> Function | None:
    kind = node.op_type
    if kind == "LeakyRelu":
        slope = float(attribute(node, "alpha", 0.01))
        return lambda x: np.where(x < 0, slope * x, x)
    if kind == "Sigmoid":
        return _sigmoid
    if kind == "HardSigmoid":
        slope, offset = float(attribute(node, "alpha", 0.2)), float(attribute(node, "beta", 0.5))
        return lambda x: np.clip(slope * x + offset, 0, 1)
    if kind == "HardSwish":
        return lambda x: x * np.clip(x / 6 + 0.5, 0, 1)
    return None


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))
