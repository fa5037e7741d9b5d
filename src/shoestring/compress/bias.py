"""Bias correction: rounding shifts the mean of every channel; the bias takes the shift back.

After Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section
4.2, in its empirical form. Layers are corrected in execution order, each on inputs that earlier, already corrected
layers produced:
correcting all at once from one run overshoots, because every later layer's shift holds the earlier ones'.

Means are compared after both sides were clamped to what the layer's 8-bit output can hold. Where an activation cuts
values off, errors beyond the cut reach nobody; on MobileNetV2 they outweigh all others, and correcting them hurts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.layers import is_weighted, plan
from shoestring.compress.observe import Feed, channel_means
from shoestring.compress.qdq import INT32_LIMIT, affine
from shoestring.compress.walk import Batch, output_stops, walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.compress.graph import Graph
    from shoestring.compress.observe import Range

Array = npt.NDArray[Any]
Span = tuple[float, float]
STEPS = 3
"""Each sets the shift by the part of the values that lies inside the span; the rest is gone after two."""
FEWEST = 0.05  # part of the values that must lie inside for a channel to be corrected in full


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


def output_spans(original: Graph, ranges: Mapping[str, Range], limits: tuple[int, int]) -> dict[str, Span]:
    """Smallest and largest value that each layer's quantized output can hold, by node name.

    Args:
        original: float32.
        ranges: of `needed_ranges`.
        limits: smallest and largest integer of an activation.
    """
    spans = {}
    for layer in plan(original, frozenset()):
        if is_weighted(original, layer.node) and layer.output in ranges and layer.output not in original.outputs:
            found = affine(ranges[layer.output], limits)
            low, high = ((limit - found.zero_point) * found.scale for limit in limits)
            spans[layer.node.name] = (low, high)
    return spans


def float_means(
    original: Graph, batches: list[Batch], threads: int, spans: Mapping[str, Span] | None = None
) -> dict[str, Array]:
    """Mean of every channel of every weighted layer's output in the float graph, by node name, clamped to its span."""
    layers = [node for node in original.nodes if is_weighted(original, node) and node.op_type != "MatMul"]
    ranks = {node.output[0]: original.weights[node.input[1]].ndim for node in layers}
    clamped = {node.output[0]: spans[node.name] for node in layers if spans and node.name in spans}
    means = channel_means(original, lambda: iter([dict(batch) for batch in batches]), ranks, threads, clamped)
    return {node.name: means[node.output[0]] for node in layers}


def correct_biases(
    quantized: Graph,
    wanted: Mapping[str, Array],
    batches: list[Batch],
    threads: int,
    spans: Mapping[str, Span] | None = None,
) -> tuple[float, tuple[Array, ...]]:
    """Change the biases of `quantized` in place so that every channel's mean is the original's.

    Args:
        quantized: made by `to_qdq`.
        wanted: `float_means` of the original on the same batches and spans.
        batches: their live activations are held in memory.
        threads: of the runtime.
        spans: `output_spans`; layers without one are compared as they are.

    Returns:
        The root mean square of the shifts, relative to the spread of each layer's channel means; and the graph's
        outputs on all batches with all corrections in force.
    """
    layers = {
        node.output[0]: node.name for node in quantized.nodes if f"{node.name}/bias/integers" in quantized.weights
    }
    relative = [0.0]
    outputs: dict[str, Array] = {}
    stops = output_stops(quantized, layers)
    for tensor, seen in walk(quantized, [dict(batch) for batch in batches], stops, threads):
        if tensor in layers:
            name = layers[tensor]
            relative.append(correct_layer(quantized, name, seen, wanted[name], (spans or {}).get(name)))
        if tensor in quantized.outputs:
            outputs[tensor] = np.concatenate(seen)
    return float(np.sqrt(np.mean(np.square(relative)))), tuple(outputs[name] for name in quantized.outputs)


def correct_layer(quantized: Graph, name: str, seen: list[Array], target: Array, span: Span | None) -> float:
    """Correct one layer's bias in the graph and in its outputs at hand.

    Args:
        quantized: whose weights hold the layer's integer bias.
        name: of the layer's node.
        seen: its outputs, one array a batch, channels on axis 1; changed in place.
        target: (channels,), the float means.
        span: that both are clamped to, or None.

    Returns:
        Root mean square of the shift, relative to the spread of `target`.
    """
    shift = np.zeros(len(target))
    for _ in range(1 if span is None else STEPS):
        mean, inside = clamped_mean(seen, shift, span)
        shift = shift + (target - mean) / np.maximum(inside, FEWEST)
    moved = move_bias(quantized, name, shift)
    for array in seen:
        array += _along_channels(moved, array)
    return float(np.sqrt(np.mean(moved**2)) / (np.std(target) + 1e-12))


def clamped_mean(arrays: list[Array], shift: Array, span: Span | None) -> tuple[Array, Array]:
    """Mean over batch and positions of each channel (axis 1), shifted and clamped; and the part that lies inside."""
    count = sum(len(array) for array in arrays)
    total, inside = np.zeros(len(shift)), np.zeros(len(shift))
    for array in arrays:
        axes = tuple(range(2, array.ndim))
        moved = array + _along_channels(shift, array)
        if span is not None:
            inside += np.mean((moved > span[0]) & (moved < span[1]), axis=axes).sum(axis=0)
            moved = np.clip(moved, *span)
        total += moved.mean(axis=axes, dtype=np.float64).sum(axis=0)
    return total / count, np.ones(len(shift)) if span is None else inside / count


def _along_channels(values: Array, array: Array) -> Array:
    return values.reshape(-1, *([1] * (array.ndim - 2))).astype(array.dtype)


def move_bias(quantized: Graph, name: str, shift: Array) -> Array:
    """Add `shift` to the bias, rounded to its integer steps; returns what was really added."""
    scales = quantized.weights[f"{name}/bias/scale"].astype(np.float64)
    before = quantized.weights[f"{name}/bias/integers"].astype(np.int64)
    after = np.clip(before + np.rint(shift / scales).astype(np.int64), -INT32_LIMIT, INT32_LIMIT)
    quantized.weights[f"{name}/bias/integers"] = after.astype(np.int32)
    return np.asarray((after - before) * scales)
