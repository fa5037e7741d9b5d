"""Biases take back what rounding shifted (see compress.bias for the method and its source)."""

from __future__ import annotations

import numpy as np

from shoestring.compress.bias import correct_biases
from shoestring.compress.graph import Graph
from shoestring.compress.passes.protocol import Options, Workshop
from shoestring.compress.qdq import INT32_LIMIT

SUFFIX = "/bias/integers"


class CorrectBias:
    """No options."""

    name = "correct_bias"

    def requires(self, graph: Graph, options: Options) -> str | None:
        if not any(name.endswith(SUFFIX) for name in graph.weights):
            return "no layer has an integer bias; static_int8 goes first"
        return None

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        shift, _ = correct_biases(graph, workshop.means, workshop.batches, workshop.threads, workshop.spans)
        examples = sum(len(next(iter(batch.values()))) for batch in workshop.batches)
        return graph, (
            f"biases corrected on {examples} examples; rms shift {shift:.3f} of the spread of the channel means",
        )

    def ensures(self, graph: Graph, options: Options) -> str | None:
        for name, value in graph.weights.items():
            if name.endswith(SUFFIX) and np.abs(value.astype(np.int64)).max(initial=0) >= INT32_LIMIT:
                return f"bias of {name.removesuffix(SUFFIX)!r} reached the limit of int32"
        return None
