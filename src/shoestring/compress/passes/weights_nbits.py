"""Weights of 4 bits in blocks, as ONNX Runtime's com.microsoft::MatMulNBits.

Rounding is nearest, nearest on ranges shrunk to the least error, or GPTQ (Frantar et al., 2022, arXiv 2210.17323); see
compress.blocks. The format is described in ONNX Runtime's docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx

from shoestring.base.errors import UsageError
from shoestring.compress.blocks import best_grid, gptq_metric, pack, pack_zeros, range_grid, round_gptq, round_nearest
from shoestring.compress.grams import Array, input_gram
from shoestring.compress.graph import Graph
from shoestring.compress.matrix import in_out_weight, products, replace_product
from shoestring.compress.passes.protocol import Options, Workshop
from shoestring.compress.passes.static_int8 import float_layers
from shoestring.compress.walk import walk

DOMAIN = "com.microsoft"
BITS = 4
BLOCKS = (16, 32, 64, 128, 256)
METHODS = ("nearest", "search", "gptq")
FLOAT_ACTIVATIONS, INT8_ACTIVATIONS = 0, 4
"""Accuracy levels of the operator: products in float32, or activations rounded to int8 a block at run time (W4A8)."""


class WeightsNBits:
    """Options: `method` (nearest, search or gptq), `block` (32), `symmetric` (False), `accuracy_level` (0 or 4),
    `float_layers`."""

    name = "weights_nbits"

    def requires(self, graph: Graph, options: Options) -> str | None:
        _settings(options)
        missing = float_layers(options) - {node.name for node in graph.nodes}
        if missing:
            return f"no layer is called {sorted(missing)[0]!r}"
        if not products(graph, float_layers(options)):
            return "no MatMul or Gemm has constant float32 weights of two dimensions"
        return None

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        method, block, symmetric, level = _settings(options)
        chosen = products(graph, float_layers(options))
        grams = _grams(graph, chosen, workshop) if method != "nearest" else {}
        made = {node.name: self._one(graph, node, options, grams.get(node.input[0])) for node in chosen}
        graph.nodes = [part for node in graph.nodes for part in made.get(node.name, [node])]
        graph.reindex()
        if not any(item.domain == DOMAIN for item in graph.proto.opset_import):
            graph.proto.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
        kind = "symmetric" if symmetric else "asymmetric"
        arithmetic = "int8 activations" if level == INT8_ACTIVATIONS else "float activations"
        return graph, (
            f"{len(chosen)} matrix products with weights of {BITS} bits in {kind} blocks of {block} by {method}; "
            f"{arithmetic}",
        )

    def ensures(self, graph: Graph, options: Options) -> str | None:
        left = products(graph, float_layers(options))
        return f"layer {left[0].name!r} stayed in float without being asked to" if left else None

    def _one(self, graph: Graph, node: onnx.NodeProto, options: Options, gram: Array | None) -> list[onnx.NodeProto]:
        method, block, symmetric, level = _settings(options)
        rows = in_out_weight(graph, node).T.astype(np.float64)
        if gram is None:
            grid = range_grid(rows, block, symmetric=symmetric)
            integers = round_nearest(rows, grid)
        else:
            grid = best_grid(rows, block, symmetric=symmetric, importance=np.diagonal(gram))
            integers = round_gptq(rows, grid, gptq_metric(gram)) if method == "gptq" else round_nearest(rows, grid)
        name = f"{node.name}/weight"
        stored: dict[str, Array] = {
            f"{name}/q{BITS}": pack(integers, block),
            f"{name}/scales": grid.scales.astype(np.float32).reshape(-1),
        }
        if not symmetric:
            stored[f"{name}/zeros"] = pack_zeros(grid.zeros)
        graph.weights |= stored
        product = onnx.helper.make_node(
            "MatMulNBits",
            [node.input[0], *stored],
            [""],
            name=node.name,
            domain=DOMAIN,
            K=rows.shape[1],
            N=rows.shape[0],
            bits=BITS,
            block_size=block,
            accuracy_level=level,
        )
        return replace_product(graph, node, product, [])


def _settings(options: Options) -> tuple[str, int, bool, int]:
    method, block = str(options.get("method", "search")), options.get("block", 32)
    symmetric, level = bool(options.get("symmetric", False)), options.get("accuracy_level", FLOAT_ACTIVATIONS)
    if method not in METHODS:
        raise UsageError(f"unknown method {method!r}", hint=f"known: {', '.join(METHODS)}")
    if not isinstance(block, int) or block not in BLOCKS:
        raise UsageError(f"block must be one of {', '.join(map(str, BLOCKS))}, got {block!r}")
    if not isinstance(level, int) or level not in (FLOAT_ACTIVATIONS, INT8_ACTIVATIONS):
        raise UsageError(f"accuracy_level must be {FLOAT_ACTIVATIONS} or {INT8_ACTIVATIONS}, got {level!r}")
    return method, block, symmetric, level


def _grams(graph: Graph, chosen: list[onnx.NodeProto], workshop: Workshop) -> dict[str, Array]:
    """Second moments of each product's input, by its name."""
    return {name: input_gram(arrays) for name, arrays in _inputs(graph, chosen, workshop)}


def _inputs(graph: Graph, chosen: list[onnx.NodeProto], workshop: Workshop) -> Iterator[tuple[str, list[Array]]]:
    wanted = {node.input[0] for node in chosen}
    for name in wanted & set(graph.inputs):
        yield name, [batch[name] for batch in workshop.batches]
    stops = [output for node in graph.nodes for output in node.output if output in wanted]
    yield from walk(graph, [dict(batch) for batch in workshop.batches], stops, workshop.threads)
