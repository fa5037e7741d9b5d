"""Channels that use little of a tensor's range are scaled up before a depthwise convolution, which scales them back.

One scale serves a whole activation tensor. A channel that stays in a tenth of the range gets a tenth of the steps, and
the depthwise layer after it, whose weights have a scale for each channel, may multiply the rounding by large weights:
on MobileNetV2 the stem's output alone causes half of all noise. After Nagel et al., "Data-Free Quantization Through
Weight Equalization and Bias Correction", ICCV 2019, section 4.1, with ranges that were seen instead of weights, and
only where scaling back costs nothing. relu(s x) = s relu(x) for s > 0; a clip at the top is never reached, since
channels are scaled to TOP of the range at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.equalize_streams import equalize_streams, streams
from shoestring.compress.graph import Graph, attribute
from shoestring.compress.layers import foldable_activation, is_weighted
from shoestring.compress.observe import Feed, channel_maxima

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

Array = npt.NDArray[Any]
TOP = 0.6
"""Part of the tensor's range that a channel is scaled to: inputs never seen may reach two thirds further."""
SILENT = 1e-6  # of the range; channels below it are dead and stay as they are


@dataclass(frozen=True)
class Site:
    """A convolution whose activation feeds one depthwise convolution and nothing else."""

    before: onnx.NodeProto
    tensor: str
    after: onnx.NodeProto


def sites(graph: Graph) -> list[Site]:
    """Where channels can be scaled for free; weights that several layers share stay as they are."""
    found: list[Site] = []
    for node in graph.nodes:
        if node.op_type != "Conv" or not is_weighted(graph, node) or len(node.input) < 3:
            continue
        activation = foldable_activation(graph, node)
        reader = None if activation is None else graph.sole_consumer(activation.output[0])
        if activation is None or reader is None or not _is_depthwise(graph, reader):
            continue
        weights = (node.input[1], node.input[2], reader.input[1])
        if any(len(graph.consumers[name]) > 1 or name in graph.outputs for name in weights) or len(set(weights)) < 3:
            continue
        found.append(Site(node, activation.output[0], reader))
    return found


def channel_sizes(graph: Graph, feed: Feed, threads: int) -> dict[str, Array]:
    """Of every tensor that can be equalized: each channel's largest magnitude."""
    tensors = [site.tensor for site in sites(graph)]
    tensors += [name for stream in streams(graph) for name in stream.tensors]
    return channel_maxima(graph, feed, tensors, threads)


def equalize(graph: Graph, seen: Mapping[str, Array]) -> int:
    """Scale channels before depthwise layers in place.

    Args:
        graph: float32.
        seen: `channel_sizes`.

    Returns:
        The number of channels that were scaled.
    """
    count = 0
    for site in sites(graph):
        factors = channel_factors(seen[site.tensor])
        count += int(np.count_nonzero(factors > 1))
        shape = (-1, 1, 1, 1)
        for name, scale in (
            (site.before.input[1], factors.reshape(shape)),
            (site.before.input[2], factors),
            (site.after.input[1], 1 / factors.reshape(shape)),
        ):
            graph.weights[name] = (graph.weights[name].astype(np.float64) * scale).astype(np.float32)
    return count


def equalize_all(graph: Graph, seen: Mapping[str, Array]) -> tuple[int, int]:
    """Both kinds in place; returns the numbers of streams and of channels before depthwise layers that were scaled."""
    scaled = equalize_streams(graph, seen)
    return scaled, equalize(graph, seen)


def channel_factors(seen: Array) -> Array:
    """What each channel is multiplied by, at least 1.

    Args:
        seen: (channels,), each one's largest value.
    """
    top = float(seen.max(initial=0.0))
    if top <= 0:
        return np.ones(len(seen))
    alive = seen > top * SILENT
    return np.where(alive, np.maximum(1.0, TOP * top / np.where(alive, seen, 1.0)), 1.0)


def _is_depthwise(graph: Graph, node: onnx.NodeProto) -> bool:
    if node.op_type != "Conv" or not is_weighted(graph, node):
        return False
    weight = graph.weights[node.input[1]]
    return weight.ndim == 4 and weight.shape[1] == 1 and attribute(node, "group", 1) == weight.shape[0]
