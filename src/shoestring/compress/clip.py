"""Narrower ranges for signed tensors: a few outliers must not make the steps of all other values coarse.

Linear layers between blocks have long tails. For each such tensor the range is shrunk to where the p-norm of the
rounding and clipping error is least on a few examples. The squared error (p = 2) clips more: what is clipped is large
and can matter more than its square says (Nahshan et al., "Loss Aware Post-training Quantization", Machine Learning
2021, section 4.1). With p = 3 both networks that were tried improved, with p = 2 one of them; figures in ADR 4.
Outputs of ReLU and Clip keep their range: the one other way of shrinking that was tried on them hurt. Around other
functions of one value each end is chosen for itself (`compress.through`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.layers import plan
from shoestring.compress.observe import Range
from shoestring.compress.qdq import affine
from shoestring.compress.through import best_ends, function_around
from shoestring.compress.walk import Batch, walk

if TYPE_CHECKING:
    from shoestring.compress.graph import Graph

Array = npt.NDArray[Any]
NORM = 3
FACTORS = tuple(round(1.0 - 0.05 * i, 2) for i in range(16))  # 1 down to 0.25 of the range
MAX_SAMPLES = 100_000  # values looked at in a tensor; the norm settles well before
SEED = 0


def clipped_ranges(
    graph: Graph, ranges: Mapping[str, Range], batches: list[Batch], limits: tuple[int, int], threads: int
) -> dict[str, Range]:
    """`ranges` with those of signed inner tensors shrunk.

    Args:
        graph: float32.
        ranges: smallest and largest values, of `needed_ranges`.
        batches: a few examples; their live activations are held in memory.
        limits: smallest and largest integer of an activation.
        threads: of the runtime.
    """
    found = dict(ranges)
    for name, arrays in walk(graph, [dict(batch) for batch in batches], signed_tensors(graph, ranges), threads):
        function = function_around(graph, name)
        if function is None:
            found[name] = best_range(_sample(arrays), ranges[name], limits)
        else:
            found[name] = best_ends(_sample(arrays), ranges[name], limits, function)
    return found


def signed_tensors(graph: Graph, ranges: Mapping[str, Range]) -> list[str]:
    """Inner tensors that will be quantized and go below zero, in execution order."""
    folded = {layer.node.output[0] for layer in plan(graph, frozenset()) if layer.activation is not None}
    made = [name for node in graph.nodes for name in node.output]
    return [
        name
        for name in made
        if name in ranges and ranges[name].low < 0 and name not in folded and name not in graph.outputs
    ]


def best_range(values: Array, span: Range, limits: tuple[int, int]) -> Range:
    """The factor of FACTORS on both ends of `span` with the least error norm over `values`; the widest of equals."""
    best, lowest = span, np.inf
    for factor in FACTORS:
        tried = Range(span.low * factor, span.high * factor)
        parameters = affine(tried, limits)
        integers = np.clip(np.rint(values / parameters.scale) + parameters.zero_point, *limits)
        error = np.abs((integers - parameters.zero_point) * parameters.scale - values)
        norm = float(np.mean(error**NORM))
        if norm < lowest:
            best, lowest = tried, norm
    return best


def _sample(arrays: list[Array]) -> Array:
    rng = np.random.default_rng(SEED)
    each = max(1, MAX_SAMPLES // len(arrays))
    parts = []
    for array in arrays:
        flat = array.reshape(-1)
        parts.append(flat if len(flat) <= each else flat[rng.integers(0, len(flat), each)])
    return np.concatenate(parts).astype(np.float64)
