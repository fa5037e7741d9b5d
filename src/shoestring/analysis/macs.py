"""Multiply-accumulates of one node, from the shapes in the ONNX operator specification."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.analysis.graphs import View


def macs(view: View, node: Any) -> int:
    """Multiply-accumulates of one node; 0 for an operator that we do not count.

    Raises:
        ModelError: it is one that we count, but a shape that decides is unknown.
    """
    count = _COUNTS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    return 0 if count is None else count(view, node)


def _convolution(weight_index: int) -> Callable[[View, Any], int]:
    """Each output value sums over (in / group) channels and the kernel, which is one row of the weight."""

    def count(view: View, node: Any) -> int:
        weight = view.shape(node.input[weight_index], node)
        return math.prod(view.shape(node.output[0], node)) * math.prod(weight[1:])

    return count


def _transposed(view: View, node: Any) -> int:
    """Each input value spreads over (out / group) channels and the kernel, which is one row of the weight."""
    return math.prod(view.shape(node.input[0], node)) * math.prod(view.shape(node.input[1], node)[1:])


def _gemm(view: View, node: Any) -> int:
    transposed = any(item.name == "transA" and item.i for item in node.attribute)
    inner = view.shape(node.input[0], node)[0 if transposed else 1]
    return math.prod(view.shape(node.output[0], node)) * inner


def _matmul(view: View, node: Any) -> int:
    """(..., m, k) @ (..., k, n): each output value sums over k."""
    return math.prod(view.shape(node.output[0], node)) * view.shape(node.input[0], node)[-1]


def _recurrent(view: View, node: Any) -> int:
    """Each step multiplies W (directions, gates * hidden, in) and R (directions, gates * hidden, hidden)."""
    sequence, batch = view.shape(node.input[0], node)[:2]
    return sequence * batch * (math.prod(view.shape(node.input[1], node)) + math.prod(view.shape(node.input[2], node)))


def _einsum(view: View, node: Any) -> int:
    """The product of all labels' sizes for two operands: each pair of values that meets is one MAC."""
    equation = next((item.s.decode() for item in node.attribute if item.name == "equation"), "").replace(" ", "")
    terms = equation.split("->")[0].split(",")
    if len(terms) < 2:
        return 0
    if len(terms) > 2 or "." in equation:
        raise ModelError(
            f"Einsum {node.name!r} with {equation!r} cannot be counted",
            hint="export it as MatMul, or with two operands",
        )
    sizes: dict[str, int] = {}
    for term, name in zip(terms, node.input, strict=True):
        sizes.update(zip(term, view.shape(name, node), strict=True))
    return math.prod(sizes.values())


_COUNTS: dict[str, Callable[[View, Any], int]] = {
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearMatMul": _matmul,
    "Einsum": _einsum,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
}
