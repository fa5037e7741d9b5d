"""Bias correction: rounding shifts the mean of every channel; the bias takes the shift back.

After Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section
4.2, in its empirical form. Layers are corrected in execution order, each on inputs that earlier, already corrected
layers produced:
correcting all at once from one run overshoots, because every later layer's shift holds the earlier ones'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.layers import is_weighted
from shoestring.compress.observe import Feed, channel_means
from shoestring.compress.walk import Batch, walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.compress.graph import Graph

Array = npt.NDArray[Any]
INT32_LIMIT = 2**31 - 1


def first_examples(feed: Feed, count: int) -> list[Batch]:
    """The first `count` examples of a feed, in its batches."""
    taken: list[Batch] = []
    left = count
    for batch in feed():
        if left <= 0:
            break
        taken.append({name: value[:left] for name, value in batch.items()})
        left -= len(next(iter(batch.values())))
    return taken


def float_means(original: Graph, batches: list[Batch], threads: int) -> dict[str, Array]:
    """Mean of every channel of every weighted layer's output in the float graph, by node name."""
    layers = [node for node in original.nodes if is_weighted(original, node) and node.op_type != "MatMul"]
    ranks = {node.output[0]: original.weights[node.input[1]].ndim for node in layers}
    means = channel_means(original, lambda: iter([dict(batch) for batch in batches]), ranks, threads)
    return {node.name: means[node.output[0]] for node in layers}


def correct_biases(
    quantized: Graph, wanted: Mapping[str, Array], batches: list[Batch], threads: int
) -> tuple[float, list[Array]]:
    """Change the biases of `quantized` in place so that every channel's mean before its activation is the original's.

    Args:
        quantized: made by `to_qdq`.
        wanted: `float_means` of the original on the same batches.
        batches: their live activations are held in memory.
        threads: of the runtime.

    Returns:
        The root mean square of the shifts, relative to the spread of each layer's channel means; and the graph's first
        output on the batches with all corrections in force.
    """
    layers = {
        node.output[0]: node.name for node in quantized.nodes if f"{node.name}/bias/integers" in quantized.weights
    }
    relative = [0.0]
    result = quantized.outputs[0]
    outputs: list[Array] = []
    for tensor, seen in walk(quantized, [dict(batch) for batch in batches], [*layers, result], threads):
        if tensor in layers and not outputs:
            target = wanted[layers[tensor]]
            shift = target - _channel_mean(seen)
            relative.append(float(np.sqrt(np.mean(shift**2)) / (np.std(target) + 1e-12)))
            moved = _move_bias(quantized, layers[tensor], shift)
            for array in seen:
                array += moved.reshape(-1, *([1] * (array.ndim - 2))).astype(array.dtype)
        if tensor == result:
            outputs = seen
    return float(np.sqrt(np.mean(np.square(relative)))), outputs


def _channel_mean(arrays: list[Array]) -> Array:
    """Mean over batch and positions; the channel is axis 1."""
    total = sum(array.astype(np.float64).mean(axis=tuple(range(2, array.ndim))).sum(axis=0) for array in arrays)
    return np.asarray(total) / sum(len(array) for array in arrays)


def _move_bias(quantized: Graph, name: str, shift: Array) -> Array:
    """Add `shift` to the bias, rounded to its integer steps; returns what was really added."""
    scales = quantized.weights[f"{name}/bias/scale"].astype(np.float64)
    before = quantized.weights[f"{name}/bias/integers"].astype(np.int64)
    after = np.clip(before + np.rint(shift / scales).astype(np.int64), -INT32_LIMIT, INT32_LIMIT)
    quantized.weights[f"{name}/bias/integers"] = after.astype(np.int32)
    return np.asarray((after - before) * scales)
