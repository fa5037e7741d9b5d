"""Streaming observers: run a graph over batches and keep only statistics.

Each asked tensor is reduced inside the graph, so that a batch leaves a few numbers, never activations: memory does not
grow with the number of images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import EngineError
from shoestring.compress.graph import Graph, make_node, scalar
from shoestring.runtimes import registry

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]
Feed = Callable[[], Iterator[Mapping[str, Array]]]
"""Starts a fresh walk over the calibration batches; every batch maps input names to arrays."""

RUNTIME = "onnxruntime"


@dataclass(frozen=True)
class Range:
    """Smallest and largest value seen in a tensor."""

    low: float
    high: float


def run_batches(
    graph: Graph, feed: Feed, tensors: Iterable[str], threads: int
) -> Iterator[tuple[int, dict[str, Array]]]:
    """Run the graph with `tensors` as further outputs; yields (examples in the batch, outputs by name)."""
    extra = [name for name in tensors if name not in graph.outputs]
    with registry.get(RUNTIME).load(graph.to_bytes(extra), threads) as session:
        for batch in feed():
            yield len(next(iter(batch.values()))), session.run(batch)


def value_ranges(graph: Graph, feed: Feed, tensors: Iterable[str], threads: int = 1) -> dict[str, Range]:
    """Minimum and maximum of each tensor over all batches.

    Raises:
        EngineError: a tensor holds NaN or infinity; the message names it.
    """
    names = list(tensors)
    probes = []
    for name in names:
        probes.append(make_node("ReduceMin", [name], [f"{name}/low"], f"{name}/low", keepdims=0))
        probes.append(make_node("ReduceMax", [name], [f"{name}/high"], f"{name}/high", keepdims=0))
    low = dict.fromkeys(names, np.inf)
    high = dict.fromkeys(names, -np.inf)
    for _, seen in run_batches(_with_probes(graph, probes), feed, [node.output[0] for node in probes], threads):
        for name in names:
            low[name] = min(low[name], float(seen[f"{name}/low"]))
            high[name] = max(high[name], float(seen[f"{name}/high"]))
    for name in names:
        if not (np.isfinite(low[name]) and np.isfinite(high[name])):
            raise EngineError(f"tensor {name!r} reaches [{low[name]}, {high[name]}] on the calibration images")
    return {name: Range(low[name], high[name]) for name in names}


def channel_maxima(graph: Graph, feed: Feed, tensors: Iterable[str], threads: int = 1) -> dict[str, Array]:
    """Largest magnitude of each channel (axis 1) of (n, channels, height, width) tensors over all batches."""
    names = list(tensors)
    if not names:
        return {}
    probed = graph.copy()
    for name in names:
        probed.nodes.append(make_node("Abs", [name], [f"{name}/magnitude"], f"{name}/magnitude"))
        probed.nodes.append(_reduce_node(probed, "ReduceMax", f"{name}/magnitude", f"{name}/top", [0, 2, 3]))
    found: dict[str, Array] = {}
    for _, seen in run_batches(probed, feed, [f"{name}/top" for name in names], threads):
        for name in names:
            top = seen[f"{name}/top"]
            found[name] = np.maximum(found[name], top) if name in found else top
    return found


def channel_means(
    graph: Graph,
    feed: Feed,
    tensors: Mapping[str, int],
    threads: int = 1,
    clamped: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, Array]:
    """Mean of each channel over all batches and positions, float64.

    Args:
        tensors: name and number of dimensions; the channel is axis 1, or the last one below three dimensions.
        clamped: smallest and largest value that counts, of the tensors that are clamped first.
    """
    if not tensors:
        return {}
    probed = graph.copy()
    for name, rank in tensors.items():
        channel = 1 if rank > 2 else rank - 1
        axes = [axis for axis in range(rank) if axis != channel]
        source = name
        if clamped and name in clamped:
            source = f"{name}/clamped"
            ends = [f"{name}/from", f"{name}/to"]
            probed.weights |= {end: scalar(value) for end, value in zip(ends, clamped[name], strict=True)}
            probed.nodes.append(make_node("Clip", [name, *ends], [source], source))
        probed.nodes.append(_reduce_node(probed, "ReduceMean", source, f"{name}/mean", axes))
    means = [f"{name}/mean" for name in tensors]
    totals: dict[str, Array] = {}
    count = 0
    for size, seen in run_batches(probed, feed, means, threads):
        count += size
        for name in tensors:
            mean = seen[f"{name}/mean"].astype(np.float64) * size
            totals[name] = totals[name] + mean if name in totals else mean
    return {name: total / count for name, total in totals.items()}


def _reduce_node(graph: Graph, operator: str, name: str, result: str, axes: list[int]) -> onnx.NodeProto:
    """A reduction over `axes`, which are an input since opset 18 and an attribute before."""
    if graph.opset < 18:
        return make_node(operator, [name], [result], result, keepdims=0, axes=axes)
    constant = f"{result}/axes"
    graph.weights[constant] = np.array(axes, dtype=np.int64)
    return make_node(operator, [name, constant], [result], result, keepdims=0)


def _with_probes(graph: Graph, probes: list[onnx.NodeProto]) -> Graph:
    probed = graph.copy()
    probed.nodes.extend(probes)
    return probed
