"""From an ONNX file to the program that is written as TFLite, with the scales of its weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from shoestring.convert.tflite.more import MORE
from shoestring.convert.tflite.rewrite import rewritten
from shoestring.native.form import Array, Program
from shoestring.native.front.graph import Graph, Node
from shoestring.native.front.reading import INPUT_DTYPES, read_graph
from shoestring.native.front.translate import INDICES, translate
from shoestring.native.passes.hoist_quantize import hoist_quantize
from shoestring.native.passes.prune import prune

F = np.float32


@dataclass(frozen=True, eq=False)
class Read:
    """A model ready to be written.

    Args:
        program: its typed operators; with `integer`, functions between codes are single ones.
        scales: of 8-bit weights, float32 for each output channel, by the operator's name.
    """

    program: Program
    scales: dict[str, Array]


def read(data: bytes, *, integer: bool = False) -> Read:
    """Parse an ONNX file.

    Args:
        data: float32, or quantized in QDQ form.
        integer: functions between codes become single operators.

    Raises:
        ModelError: not such a file, or operators that cannot be converted; one message names them all.
    """
    graph = read_graph(data, (*INPUT_DTYPES, *INDICES))
    program = translate(graph, "model", hashlib.sha256(data).hexdigest(), MORE)
    program = rewritten(hoist_quantize(prune(program)), integer=integer)
    return Read(program, _weight_scales(graph))


def _weight_scales(graph: Graph) -> dict[str, Array]:
    """Of every layer with 8-bit weights, as the front multiplies them into the layer's multipliers."""
    found = {}
    for node in graph.nodes:
        written = graph.quantized.get(node.input(1))
        if node.op_type not in ("Conv", "Gemm", "MatMul") or written is None:
            continue
        count = written.codes.shape[_channel_axis(node)]
        alpha = F(node.attributes.get("alpha", 1.0)) if node.op_type == "Gemm" else F(1)
        found[node.name] = np.asarray(np.broadcast_to(written.scale, (count,)) * alpha, dtype=F)
    return found


def _channel_axis(node: Node) -> int:
    """Of the output channels in the weights."""
    return 0 if node.op_type == "Conv" or (node.op_type == "Gemm" and node.attributes.get("transB", 0)) else 1


__all__ = ["Read", "read"]
