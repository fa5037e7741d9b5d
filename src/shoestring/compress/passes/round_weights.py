"""Integer weights chosen by second-order rounding, biases corrected on the way (see compress.rounding)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.bias import correct_biases, float_means
from shoestring.compress.graph import Graph
from shoestring.compress.passes.protocol import Options, Workshop
from shoestring.compress.qdq import INT32_LIMIT
from shoestring.compress.quantize import to_qdq
from shoestring.compress.rounding import Rounded, round_layers
from shoestring.compress.scheme import Scheme, scheme_named

Array = npt.NDArray[Any]
BIAS, WEIGHT = "/bias/integers", "/weight/integers"
CHOSEN = (BIAS, WEIGHT, "/bias/scale", "/weight/scale")
MEANS = "means on the rounding examples"


class RoundWeights:
    """Options: `scheme`, the one that static_int8 was given; `drift`, see `rounding.follow_drift`."""

    name = "round_weights"

    def requires(self, graph: Graph, options: Options) -> str | None:
        if not any(name.endswith(WEIGHT) for name in graph.weights):
            return "no layer has integer weights; static_int8 goes first"
        return None

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        drift = bool(options["drift"])
        rounded, done = _rounded(workshop, scheme_named(str(options["scheme"])), drift)
        graph.weights |= {name: value.copy() for name, value in rounded.items() if name in graph.weights}
        if any(name not in graph.weights for name in rounded):  # other inputs reach the layers behind those in float
            correct_biases(graph, _means(workshop), workshop.rounding_batches, workshop.threads, workshop.spans)
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


def _rounded(workshop: Workshop, scheme: Scheme, drift: bool) -> tuple[Mapping[str, Array], Rounded]:
    """Integers, scales and biases of every layer when all run in 8 bits; made once for all recipes.

    Layers that a recipe leaves in float change what the others should be rounded to so little that rounding each recipe
    anew gains nothing (ADR 8); their biases are corrected anew.
    """
    question = f"rounded {scheme.name} {drift}"
    if question not in workshop.kept:
        whole = to_qdq(workshop.original, workshop.ranges, scheme, frozenset())
        done = round_layers(
            workshop.original,
            whole,
            workshop.rounding_batches,
            scheme.weight_limit,
            workshop.threads,
            workshop.spans,
            drift=drift,
        )
        workshop.kept[question] = {name: value for name, value in whole.weights.items() if name.endswith(CHOSEN)}
        workshop.kept[f"{question} plain"] = {name: np.zeros(0) for name in done.plain}
        workshop.kept[f"{question} shift"] = {"relative": np.array(done.relative_shift)}
    plain = tuple(workshop.kept[f"{question} plain"])
    layers = sum(name.endswith(WEIGHT) for name in workshop.kept[question]) - len(plain)
    return workshop.kept[question], Rounded(layers, plain, float(workshop.kept[f"{question} shift"]["relative"]))


def _means(workshop: Workshop) -> Mapping[str, Array]:
    """Channel means of the float graph on the rounding examples; made once."""
    if MEANS not in workshop.kept:
        workshop.kept[MEANS] = float_means(
            workshop.original, workshop.rounding_batches, workshop.threads, workshop.spans
        )
    return workshop.kept[MEANS]
