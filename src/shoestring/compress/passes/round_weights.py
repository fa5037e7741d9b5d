"""Integer weights chosen by second-order rounding, biases corrected on the way (see compress.rounding)."""

from __future__ import annotations

import numpy as np

from shoestring.compress.graph import Graph
from shoestring.compress.passes.protocol import Options, Workshop
from shoestring.compress.qdq import INT32_LIMIT
from shoestring.compress.rounding import round_layers
from shoestring.compress.scheme import scheme_named

BIAS, WEIGHT = "/bias/integers", "/weight/integers"


class RoundWeights:
    """Options: `scheme`, the one that static_int8 was given; `drift`, see `rounding.follow_drift`."""

    name = "round_weights"

    def requires(self, graph: Graph, options: Options) -> str | None:
        if not any(name.endswith(WEIGHT) for name in graph.weights):
            return "no layer has integer weights; static_int8 goes first"
        return None

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        limit, drift = scheme_named(str(options["scheme"])).weight_limit, bool(options["drift"])
        done = round_layers(
            workshop.original, graph, workshop.rounding_batches, limit, workshop.threads, workshop.spans, drift=drift
        )
        examples = sum(len(next(iter(batch.values()))) for batch in workshop.rounding_batches)
        notes = [
            f"weights of {done.layers} layers rounded and biases corrected on {examples} examples; "
            f"rms shift {done.relative_shift:.3f} of the spread of the channel means"
        ]
        if drift:
            notes.append("weights make up for the rounding of earlier layers")
        if done.plain:
            notes.append(f"rounded to nearest, because inputs are no 2-D images or rows: {', '.join(done.plain)}")
        return graph, tuple(notes)

    def ensures(self, graph: Graph, options: Options) -> str | None:
        limit = scheme_named(str(options["scheme"])).weight_limit
        for name, value in graph.weights.items():
            largest = int(np.abs(value.astype(np.int64)).max(initial=0)) if name.endswith((BIAS, WEIGHT)) else 0
            if name.endswith(BIAS) and largest >= INT32_LIMIT:
                return f"bias of {name.removesuffix(BIAS)!r} reached the limit of int32"
            if name.endswith(WEIGHT) and largest > limit:
                return f"a weight of {name.removesuffix(WEIGHT)!r} is {largest}, beyond the limit {limit}"
        return None
