"""What a QuantizeLinear can represent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

    from shoestring.compress.graph import Graph

CODES = {"uint8": (0, 255), "int8": (-128, 127)}


@dataclass(frozen=True)
class Represented:
    """The smallest and largest value that survive a quantizer, and its step."""

    low: float
    high: float
    step: float


def represented(graph: Graph, node: onnx.NodeProto) -> Represented | None:
    """Of a QuantizeLinear to 8 bits with one constant scale; None for any other node."""
    if node.op_type != "QuantizeLinear" or not all(name in graph.weights for name in node.input[1:] if name):
        return None
    scales = graph.weights[node.input[1]]
    zeros = graph.weights[node.input[2]] if len(node.input) > 2 and node.input[2] else np.zeros((), np.uint8)
    if scales.size != 1 or zeros.size != 1 or str(zeros.dtype) not in CODES:
        return None
    scale, zero = float(scales.reshape(())), int(zeros.reshape(()))
    least, most = CODES[str(zeros.dtype)]
    return Represented((least - zero) * scale, (most - zero) * scale, scale)


def quantizer_of(graph: Graph, tensor: str) -> Represented | None:
    """Of the quantizer that reads `tensor`, if one does."""
    found = [represented(graph, reader) for reader in graph.consumers.get(tensor, [])]
    return next((one for one in found if one is not None), None)
