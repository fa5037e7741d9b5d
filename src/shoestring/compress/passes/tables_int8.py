"""Look-up tables (word embeddings) in 8 bits with a scale for each row; only the rows that are looked up are widened.

Rows are vectors of very different length, so each has its own symmetric scale: Guan et al., "Post-Training 4-bit
Quantization on Embedding Tables", 2019 (arXiv 1911.02079), section 3, in 8 bits.
"""

from __future__ import annotations

import numpy as np
import onnx

from shoestring.compress.graph import Graph, attribute, make_node
from shoestring.compress.passes.protocol import Options, Workshop

MIN_ROWS = 64  # what smaller tables save does not pay for two more operators
LIMIT = 127
TINY = 1e-12


class TablesInt8:
    """No options. A model without large tables passes unchanged."""

    name = "tables_int8"

    def requires(self, graph: Graph, options: Options) -> str | None:
        return None

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        nodes: list[onnx.NodeProto] = []
        before = after = count = 0
        for node in graph.nodes:
            if not _is_lookup(graph, node):
                nodes.append(node)
                continue
            table = graph.weights[node.input[0]]
            scales = np.maximum(np.abs(table).max(axis=1, keepdims=True) / LIMIT, TINY).astype(np.float32)
            integers, steps = f"{node.input[0]}/int8", f"{node.input[0]}/scales"
            graph.weights |= {integers: np.rint(table / scales).astype(np.int8), steps: scales}
            nodes += _lookup(node, integers, steps)
            count += 1
            before, after = before + table.nbytes, after + table.size + scales.nbytes
        graph.nodes = nodes
        graph.reindex()
        if not count:
            return graph, ()
        return graph, (f"{count} look-up tables in 8 bits: {before / 1e6:.1f} MB became {after / 1e6:.1f} MB",)

    def ensures(self, graph: Graph, options: Options) -> str | None:
        left = [node.name for node in graph.nodes if _is_lookup(graph, node)]
        return f"table of {left[0]!r} stayed in float" if left else None


def _is_lookup(graph: Graph, node: onnx.NodeProto) -> bool:
    if node.op_type != "Gather" or attribute(node, "axis", 0) != 0 or node.input[0] not in graph.weights:
        return False
    table = graph.weights[node.input[0]]
    narrow = node.input[0].endswith("/scales")  # the second look-up that this pass makes
    return table.dtype == np.float32 and table.ndim == 2 and len(table) >= MIN_ROWS and not narrow


def _lookup(node: onnx.NodeProto, integers: str, steps: str) -> list[onnx.NodeProto]:
    result = node.output[0]
    parts = [f"{result}/{part}" for part in ("integers", "scales", "wide")]
    return [
        make_node("Gather", [integers, node.input[1]], [parts[0]], node.name),
        make_node("Gather", [steps, node.input[1]], [parts[1]], f"{node.name}/scales"),
        make_node("Cast", [parts[0]], [parts[2]], f"{node.name}/wide", to=int(onnx.TensorProto.FLOAT)),
        make_node("Mul", [parts[2], parts[1]], [result], f"{node.name}/scaled"),
    ]
