"""Channels of residual streams are brought nearer to one size: producers' rows are scaled, readers' columns back.

Where nothing but additions stands between convolutions, any positive factor a channel leaves the network's function
unchanged, and with equal channels one scale serves them all. The idea of Nagel et al., "Data-Free Quantization Through
Weight Equalization and Bias Correction", ICCV 2019, section 4.1, and of the activation side of Xiao et al.,
"SmoothQuant", ICML 2023, for the tensors between the blocks of mobile networks, which have long tails, no activation,
and many readers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.graph import Graph, attribute
from shoestring.compress.layers import is_weighted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

Array = npt.NDArray[Any]
STRONGEST = 100.0  # largest factor: beyond it a channel carries nothing that rounding could spoil
SILENT = 1e-6  # of the largest channel: dead ones stay as they are


@dataclass(frozen=True)
class Stream:
    """Tensors that additions tie together, so that they share their channels' factors.

    Args:
        tensors: in execution order.
        producers: convolutions that write them.
        readers: convolutions that read them.
    """

    tensors: tuple[str, ...]
    producers: tuple[onnx.NodeProto, ...]
    readers: tuple[onnx.NodeProto, ...]


def streams(graph: Graph) -> list[Stream]:
    """Every set of tensors whose channels can be scaled without changing the function."""
    root: dict[str, str] = {}

    def find(name: str) -> str:
        root.setdefault(name, name)
        while root[name] != name:
            name = root[name]
        return name

    for node in graph.nodes:
        if node.op_type == "Add" and not any(name in graph.weights for name in node.input):
            for name in node.input:
                root[find(name)] = find(node.output[0])
        elif node.op_type == "Conv" and is_weighted(graph, node):
            find(node.output[0])
    members: dict[str, list[str]] = {}
    for name in root:
        members.setdefault(find(name), []).append(name)
    found = (_stream(graph, tensors) for tensors in members.values())
    return [stream for stream in found if stream is not None]


def equalize_streams(graph: Graph, sizes: Mapping[str, Array]) -> int:
    """Scale channels in place; returns the number of streams that were scaled.

    Args:
        graph: float32.
        sizes: largest magnitude of each channel of every stream's tensors.
    """
    count = 0
    for stream in streams(graph):
        factors = stream_factors(np.max([sizes[name] for name in stream.tensors], axis=0))
        if np.all(factors == 1):
            continue
        count += 1
        for node in stream.producers:
            _scale(graph, node.input[1], factors.reshape(-1, 1, 1, 1))
            _scale(graph, node.input[2], factors)
        for node in stream.readers:
            _scale(graph, node.input[1], 1 / factors.reshape(1, -1, 1, 1))
    return count


def stream_factors(size: Array) -> Array:
    """What each channel is multiplied by, 1 to STRONGEST: the root of what would make all as large as the largest.

    The other half of the difference stays, so that readers' weights do not drift as far apart as channels were.

    Args:
        size: (channels,), largest magnitudes.
    """
    top = float(size.max(initial=0.0))
    if top <= 0:
        return np.ones(len(size))
    alive = size > top * SILENT
    return np.where(alive, np.minimum(np.sqrt(top / np.where(alive, size, top)), STRONGEST), 1.0)


def _scale(graph: Graph, name: str, factors: Array) -> None:
    graph.weights[name] = (graph.weights[name].astype(np.float64) * factors).astype(np.float32)


def _stream(graph: Graph, tensors: list[str]) -> Stream | None:
    """The tensors with their convolutions; None where anything else writes or reads them, or weights are shared."""
    producers: list[onnx.NodeProto] = []
    readers: list[onnx.NodeProto] = []
    for name in tensors:
        producer = graph.producers.get(name)
        if producer is None or name in graph.outputs:
            return None
        if producer.op_type != "Add":
            if not _scalable(graph, producer):
                return None
            producers.append(producer)
        for node in graph.consumers.get(name, []):
            if node.op_type == "Add":
                continue
            if not _scalable(graph, node) or attribute(node, "group", 1) != 1:
                return None
            readers.append(node)
    return Stream(tuple(tensors), tuple(producers), tuple(readers)) if producers and readers else None


def _scalable(graph: Graph, node: onnx.NodeProto) -> bool:
    """A 2-D convolution with a bias and weights of its own."""
    if node.op_type != "Conv" or not is_weighted(graph, node) or len(node.input) < 3:
        return False
    own = all(len(graph.consumers[name]) == 1 and name not in graph.outputs for name in node.input[1:3])
    return own and graph.weights[node.input[1]].ndim == 4
