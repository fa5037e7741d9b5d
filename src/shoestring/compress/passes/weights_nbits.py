"""Weights of 4 bits in blocks, as ONNX Runtime's com.microsoft::MatMulNBits.

Rounding is nearest, nearest on ranges shrunk to the least error, or GPTQ (Frantar et al., 2022, arXiv 2210.17323); see
compress.blocks. The format is described in ONNX Runtime's docs/ContribOperators.md.
"""

from __future__ import annotations

import numpy as np
import onnx

from shoestring.base.errors import UsageError
from shoestring.compress.blocks import Grid, best_grid, pack, pack_zeros, range_grid, round_nearest
from shoestring.compress.grams import Array, mean_squares
from shoestring.compress.graph import Graph
from shoestring.compress.matrix import in_out_weight, products, refusal, replace_product
from shoestring.compress.passes.protocol import Options, Workshop
from shoestring.compress.passes.static_int8 import float_layers
from shoestring.compress.sequential import round_in_order, tensors

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
        return refusal(graph, float_layers(options))

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        method, block, symmetric, level = _settings(options)
        chosen = products(graph, float_layers(options))
        rounded = _rounded(graph, chosen, options, workshop)
        made = {node.name: self._one(graph, node, options, *rounded[node.name]) for node in chosen}
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

    def _one(
        self, graph: Graph, node: onnx.NodeProto, options: Options, integers: Array, grid: Grid
    ) -> list[onnx.NodeProto]:
        _, block, symmetric, level = _settings(options)
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
            K=integers.shape[1],
            N=integers.shape[0],
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


def _rounded(
    graph: Graph, chosen: list[onnx.NodeProto], options: Options, workshop: Workshop
) -> dict[str, tuple[Array, Grid]]:
    """Integers (outputs, inputs) and grid of each product, by node name."""
    method, block, symmetric, _ = _settings(options)
    if method == "gptq":
        return round_in_order(graph, chosen, workshop.batches, workshop.threads, block, symmetric=symmetric)
    power: dict[str, Array] = {}
    if method == "search":
        names = {node.input[0]: [node] for node in chosen}
        for name, arrays in tensors(graph, names, workshop.batches, workshop.threads):
            power[name] = mean_squares(arrays)
    found: dict[str, tuple[Array, Grid]] = {}
    for node in chosen:
        rows = in_out_weight(graph, node).T.astype(np.float64)
        grid = range_grid(rows, block, symmetric=symmetric)
        if method == "search":
            grid = best_grid(rows, block, symmetric=symmetric, importance=power[node.input[0]])
        found[node.name] = round_nearest(rows, grid), grid
    return found
