"""4-bit blocks product by product, each on what the already rounded products before it give.

Frantar et al., "GPTQ", 2022 (section 4), round layers in order on quantized inputs. Here the weights are refitted to
those inputs first: for float inputs x and quantized ones z the rows that suit best are
W' = W + W (sum(x z') - H) (H + d I)^-1 with H = sum(z z'), the least-squares answer drawn towards W by the damping d.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.blocks import Grid, best_grid, gptq_metric, round_gptq
from shoestring.compress.graph import Graph, attribute
from shoestring.compress.layers import channel_axis
from shoestring.compress.matrix import in_out_weight
from shoestring.compress.walk import Batch, walk

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]
Float64 = npt.NDArray[np.float64]
REFIT_DAMPING = 1.0
"""Part of the mean curvature; more with fewer rows of x than a few times their length, whose noise would be fitted."""
MAX_ROWS = 16_384


def round_in_order(
    graph: Graph, chosen: Sequence[onnx.NodeProto], batches: list[Batch], threads: int, block: int, *, symmetric: bool
) -> dict[str, tuple[Array, Grid]]:
    """Integers (outputs, inputs) and grid of each product, by node name.

    Args:
        graph: float; not changed.
        chosen: of it, from `matrix.products`.
        batches: their live activations are held in memory twice.
        threads: of the runtime.
        block: inputs that share a scale.
        symmetric: zero in the middle.
    """
    rounded = graph.copy()
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in chosen:
        readers.setdefault(node.input[0], []).append(node)
    twins = {node.name: node for node in rounded.nodes}
    found: dict[str, tuple[Array, Grid]] = {}
    exact = tensors(graph, readers, batches, threads)
    for (name, before), (_, after) in zip(exact, tensors(rounded, readers, batches, threads), strict=True):
        gram, cross, count = _moments(before, after)
        metric = gptq_metric(gram)
        curvature = max(float(np.mean(np.diagonal(gram))), 1e-12)
        damped = gram + REFIT_DAMPING * (1 + len(gram) / count) * curvature * np.eye(len(gram))
        for node in readers[name]:
            rows = in_out_weight(graph, node).T.astype(np.float64)
            rows = rows + np.linalg.solve(damped, (rows @ (cross - gram)).T).T
            grid = best_grid(rows, block, symmetric=symmetric, importance=np.diagonal(gram))
            integers = round_gptq(rows, grid, metric)
            found[node.name] = integers, grid
            _put(rounded, twins[node.name], grid.real(integers))
    return found


def tensors(
    graph: Graph, names: dict[str, list[onnx.NodeProto]], batches: list[Batch], threads: int
) -> Iterator[tuple[str, list[Array]]]:
    """The named tensors in execution order, graph inputs first, one array a batch."""
    for name in graph.inputs:
        if name in names:
            yield name, [batch[name] for batch in batches]
    stops = [output for node in graph.nodes for output in node.output if output in names]
    yield from walk(graph, [dict(batch) for batch in batches], stops, threads)


def _moments(before: Sequence[Array], after: Sequence[Array]) -> tuple[Float64, Float64, int]:
    """Means of z z' and of x z', and over how many rows."""
    x, z = (np.concatenate([array.reshape(-1, array.shape[-1]) for array in part]) for part in (before, after))
    if len(x) > MAX_ROWS:
        kept = np.linspace(0, len(x) - 1, MAX_ROWS).astype(int)
        x, z = x[kept], z[kept]
    count = len(x)
    return np.asarray(z.T @ z, np.float64) / count, np.asarray(x.T @ z, np.float64) / count, count


def _put(graph: Graph, node: onnx.NodeProto, rows: Float64) -> None:
    """Give the product these weights, under a name of its own."""
    name = f"{node.name}/rounded"
    if node.op_type == "Gemm":
        rows = rows / float(attribute(node, "alpha", 1.0))
    stored = rows if channel_axis(node, 2) == 0 else rows.T
    graph.weights[name] = np.ascontiguousarray(stored, dtype=np.float32)
    node.input[1] = name
