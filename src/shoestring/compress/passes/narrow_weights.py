"""Weights of 4 bits beside activations of 8, stored as int8 within +-7 so that every 8-bit kernel runs them.

Rounding is by `compress.narrow` (Nagel et al., "Up or Down?", ICML 2020, section 4; Behdin et al., "QuantEase", 2023).
"""

from __future__ import annotations

import numpy as np

from shoestring.base.errors import UsageError
from shoestring.compress.grams import groups_of
from shoestring.compress.graph import Graph
from shoestring.compress.layers import is_weighted, plan
from shoestring.compress.narrow import WEIGHT, round_layers
from shoestring.compress.passes.protocol import Options, Workshop
from shoestring.compress.passes.static_int8 import StaticInt8, float_layers
from shoestring.compress.quantize import to_qdq
from shoestring.compress.scheme import scheme_named


class NarrowWeights:
    """Options: `scheme` (u8s4 or s8s4), `float_layers`; `correct_bias` may follow."""

    name = "narrow_weights"

    def requires(self, graph: Graph, options: Options) -> str | None:
        scheme = scheme_named(str(options["scheme"]))
        if not scheme.by_recipe:
            raise UsageError(
                f"narrow_weights takes a scheme with narrow weights, not {scheme.name!r}", hint="u8s4, s8s4"
            )
        for layer in plan(graph, float_layers(options)):
            node = layer.node
            rank = graph.weights[node.input[1]].ndim if is_weighted(graph, node) else 0
            if node.op_type == "Conv" and rank != 4:
                return f"{node.name!r} is a convolution with a weight of {rank} dimensions; only 4 are handled"
            if node.op_type == "MatMul" and rank not in (0, 2):
                return f"{node.name!r} multiplies by a constant of {rank} dimensions; only 2 are handled"
        return StaticInt8().requires(graph, options)

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        kept, scheme = float_layers(options), scheme_named(str(options["scheme"]))
        limits = {layer.node.name: scheme.weight_limit for layer in plan(graph, kept) if is_weighted(graph, layer.node)}
        quantized = to_qdq(graph, workshop.ranges, scheme, kept)
        report = round_layers(graph, quantized, limits, workshop.batches, workshop.threads)
        nearest, found = (float(np.mean([getattr(item, part) for item in report])) for part in ("nearest", "found"))
        grouped = sum(groups_of(node) > 1 for node in graph.nodes if node.name in limits)
        return quantized, (
            f"{len(report)} layers ({grouped} of them grouped) with weights of {scheme.weight_bits} bits",
            f"mean error of a layer's output {100 * found:.2g} % of its variance; nearest: {100 * nearest:.2g} %",
        )

    def ensures(self, graph: Graph, options: Options) -> str | None:
        limit = scheme_named(str(options["scheme"])).weight_limit
        for name, value in graph.weights.items():
            if name.endswith(WEIGHT) and np.abs(value.astype(np.int64)).max(initial=0) > limit:
                return f"weight {name.removesuffix(WEIGHT)!r} goes beyond +-{limit}"
        return StaticInt8().ensures(graph, options)
