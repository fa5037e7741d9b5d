"""Moving outliers from activations into weights (Xiao et al., "SmoothQuant", 2023, arXiv 2211.10438).

Matrix products read x whose channels differ in size by orders of magnitude, so that one scale for all of x is coarse
for most of them. x / s times s W is the same product; with s = max|x|^a / max|W|^(1 - a) (their eq. 4) both sides
become easy. Here s is rounded to powers of two, with which every float product and sum keeps its bits, and `a` is
chosen for each site by the error of the product with both sides in 8 bits. The layer that makes x carries 1 / s where
it can: a normalisation's scale and bias, or a linear layer's columns, through the constants and ReLU after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.graph import Graph, attribute, make_node
from shoestring.compress.layers import channel_axis, is_weighted
from shoestring.compress.matrix import products
from shoestring.compress.observe import Range
from shoestring.compress.qdq import affine

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

Array = npt.NDArray[Any]
ALPHAS = (0.25, 0.4, 0.5, 0.6, 0.75, 0.9)
SMOOTHED = "/smoothed"
NORMS = frozenset({"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"})
ROWS = 512  # of x that a site's alphas are compared on
INSERT_GAIN = 0.7
"""A Mul is put before the products, where no layer can carry the scales, only if it takes away this much of the error's
rest: error with it over error without it must be below. A carried scale costs nothing and needs to be below 1."""
LIMIT = 127
EXPONENT = 20  # scales stay within 2^-20..2^20, far from where float32 loses bits


@dataclass(frozen=True)
class Site:
    """One tensor and the matrix products that read it.

    Args:
        tensor: their first input.
        readers: MatMul or Gemm with constant weights of two dimensions.
        alone: nothing else reads the tensor.
    """

    tensor: str
    readers: tuple[onnx.NodeProto, ...]
    alone: bool


@dataclass(frozen=True)
class Edit:
    """A constant input of a node to be replaced."""

    node: onnx.NodeProto
    index: int
    value: Array


@dataclass(frozen=True)
class Choice:
    """What was found best for a site.

    Args:
        alpha: exponent.
        scales: (k,) powers of two.
        ratio: squared error of the products over that without smoothing.
    """

    alpha: float
    scales: Array
    ratio: float


def sites(graph: Graph) -> list[Site]:
    """Every tensor that matrix products with constant weights read, in execution order of the first of them."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in products(graph):
        readers.setdefault(node.input[0], []).append(node)
    return [
        Site(name, tuple(nodes), len(graph.consumers[name]) == len(nodes) and name not in graph.outputs)
        for name, nodes in readers.items()
    ]


def choose(graph: Graph, site: Site, arrays: Sequence[Array], limits: tuple[int, int]) -> Choice:
    """The alpha of ALPHAS with the least error; its ratio is 1 or above where smoothing helps nothing.

    Args:
        graph: float.
        site: of it.
        arrays: the tensor's values, one array a batch, channels last.
        limits: smallest and largest integer of an activation.
    """
    full = np.concatenate([array.reshape(-1, array.shape[-1]) for array in arrays])
    inputs = np.concatenate([_in_weight(graph, node) for node in site.readers], axis=1)
    x_peak, w_peak = np.abs(full).max(axis=0), np.abs(inputs).max(axis=1)
    x = full[np.linspace(0, len(full) - 1, min(ROWS, len(full))).astype(int)]
    span = (full.min(axis=0), full.max(axis=0))
    plain = _error(x, inputs, span, limits)
    best = Choice(0.0, np.ones(len(x_peak), np.float32), 1.0)
    for alpha in ALPHAS:
        scales = powers_of_two(x_peak, w_peak, alpha)
        error = _error(x / scales, inputs * scales[:, None], (span[0] / scales, span[1] / scales), limits)
        if error < best.ratio * plain:
            best = Choice(alpha, scales, error / plain)
    return best


def powers_of_two(x_peak: Array, w_peak: Array, alpha: float) -> npt.NDArray[np.float32]:
    """s = max|x|^alpha / max|W|^(1 - alpha) rounded to a power of two; 1 where a channel is always zero."""
    used = (x_peak > 0) & (w_peak > 0)
    safe_x, safe_w = np.where(used, x_peak, 1.0).astype(np.float64), np.where(used, w_peak, 1.0).astype(np.float64)
    exponent = np.rint(alpha * np.log2(safe_x) - (1 - alpha) * np.log2(safe_w))
    exponent -= np.rint(np.median(exponent[used])) if used.any() else 0
    return np.where(used, np.exp2(np.clip(exponent, -EXPONENT, EXPONENT)), 1.0).astype(np.float32)


def smooth(graph: Graph, site: Site, choice: Choice) -> str:
    """Change `graph` so that the site's tensor is divided by the scales and its readers' weights are multiplied.

    Tensors whose values change get new names, so that ranges seen before are not taken for theirs.

    Returns:
        `carried`, `inserted`, or `left` where the gain would not pay.
    """
    edits, chain = _carry(graph, site.tensor, choice.scales) if site.alone else (None, [])
    if choice.ratio >= (1.0 if edits is not None else INSERT_GAIN):
        return "left"
    if edits is None:
        factor = f"{site.tensor}{SMOOTHED}/factor"
        graph.weights[factor] = (1.0 / choice.scales).astype(np.float32)
        target = site.tensor + SMOOTHED
        first = min(graph.nodes.index(node) for node in site.readers)
        graph.nodes.insert(first, make_node("Mul", [site.tensor, factor], [target], target))
        for node in site.readers:
            node.input[0] = target
    else:
        for edit in edits:
            _replace(graph, edit)
        for node in chain:
            _rename(graph, node.output[0], node.output[0] + SMOOTHED)
    for node in site.readers:
        along = choice.scales[None, :] if channel_axis(node, 2) == 0 else choice.scales[:, None]
        _replace(graph, Edit(node, 1, graph.weights[node.input[1]] * along))
    graph.reindex()
    return "inserted" if edits is None else "carried"


def _in_weight(graph: Graph, node: onnx.NodeProto) -> Array:
    """(k, n) of a reader."""
    weight = graph.weights[node.input[1]]
    return weight.T if channel_axis(node, 2) == 0 else weight


def _error(x: Array, weight: Array, span: tuple[Array, Array], limits: tuple[int, int]) -> float:
    """Squared error of x @ weight with x in 8 bits for the whole tensor and the weight in 8 bits a column."""
    parameters = affine(Range(float(span[0].min()), float(span[1].max())), limits)
    integers = np.clip(np.rint(x / parameters.scale) + parameters.zero_point, *limits)
    steps = np.maximum(np.abs(weight).max(axis=0) / LIMIT, 1e-12)
    rounded = np.rint(weight / steps) * steps
    return float(np.sum((x @ weight - ((integers - parameters.zero_point) * parameters.scale) @ rounded) ** 2))


def _carry(graph: Graph, tensor: str, scales: Array) -> tuple[list[Edit] | None, list[onnx.NodeProto]]:
    """The edits that divide `tensor` by `scales`, and the nodes whose outputs change; None where there is no way."""
    node = graph.producers.get(tensor)
    if node is None or any(node.output[1:]):
        return None, []
    if node.op_type in NORMS:
        edits = _divided(graph, node, range(1, len(node.input)), scales) if _last_axis(node) else None
        return edits, [node]
    if is_weighted(graph, node) and node.op_type in {"MatMul", "Gemm"} and graph.weights[node.input[1]].ndim == 2:
        return _divided_linear(graph, node, scales), [node]
    if node.op_type == "Relu":
        return _through(graph, node, node.input[0], [], scales)
    if node.op_type in {"Mul", "Add"}:
        constants = [i for i, name in enumerate(node.input) if name in graph.weights]
        if len(constants) == 1:
            edits = _divided(graph, node, constants, scales)
            if edits is None or node.op_type == "Mul":
                return edits, [node]
            return _through(graph, node, node.input[1 - constants[0]], edits, scales)
    return None, []


def _through(
    graph: Graph, node: onnx.NodeProto, source: str, edits: list[Edit], scales: Array
) -> tuple[list[Edit] | None, list[onnx.NodeProto]]:
    """The edits of `node` and of what feeds it alone."""
    if graph.sole_consumer(source) is None:
        return None, []
    more, chain = _carry(graph, source, scales)
    return (None, []) if more is None else ([*edits, *more], [*chain, node])


def _divided(graph: Graph, node: onnx.NodeProto, indices: Sequence[int], scales: Array) -> list[Edit] | None:
    """Constants over the last axis divided by the scales; None where one is no such constant."""
    edits = []
    for index in indices:
        value = graph.weights.get(node.input[index])
        # A scalar could be widened too, but it may be part of a GELU that runtimes know by its shape.
        if value is None or value.dtype != np.float32 or value.size != len(scales) or value.shape[-1:] != scales.shape:
            return None
        edits.append(Edit(node, index, value.reshape(-1) / scales))
    return edits


def _divided_linear(graph: Graph, node: onnx.NodeProto, scales: Array) -> list[Edit] | None:
    weight = graph.weights[node.input[1]]
    axis = channel_axis(node, 2)
    if weight.shape[axis] != len(scales):
        return None
    edits = [Edit(node, 1, weight / (scales[:, None] if axis == 0 else scales[None, :]))]
    if len(node.input) > 2 and node.input[2]:
        bias = _divided(graph, node, [2], scales)
        return None if bias is None else edits + bias
    return edits


def _last_axis(node: onnx.NodeProto) -> bool:
    return int(attribute(node, "axis", -1)) == -1


def _replace(graph: Graph, edit: Edit) -> None:
    """A fresh name for the new constant: others may read the old one."""
    name = f"{edit.node.input[edit.index]}/{edit.node.name}{SMOOTHED}"
    while name in graph.weights:
        name += "'"
    graph.weights[name] = edit.value.astype(np.float32)
    edit.node.input[edit.index] = name


def _rename(graph: Graph, old: str, new: str) -> None:
    for node in graph.nodes:
        for part in (node.input, node.output):
            for index, name in enumerate(part):
                if name == old:
                    part[index] = new
