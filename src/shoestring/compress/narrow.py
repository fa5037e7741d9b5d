"""Narrow weights, layer by layer: each layer is rounded on what the already rounded layers before it give.

For a layer with float output t and already quantized input x the weights that suit best are not the original ones but
their least-squares refit, W' = W + (cov(t, x) - W G) (G + d I)^-1, so that a layer mends what the ones before it broke;
layer-wise fitting on quantized inputs with float targets is the "asymmetric reconstruction" of Nagel et al., "Up or
Down?", ICML 2020 (section 4). Where the layer's output is added to a branch, its target holds what the branch lost too.
Integers and scales are then found against the same matrix G (`compress.descent`), and the bias takes up the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.descent import quadratic_error, search
from shoestring.compress.grams import Moments, from_rows, groups_of, moments, weight_rows
from shoestring.compress.graph import Graph, attribute
from shoestring.compress.layers import is_weighted
from shoestring.compress.qdq import BIAS_LIMIT, TINY, quantize_bias
from shoestring.compress.walk import Batch, walk

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]
Search = Callable[[Array, Array, int, Array], tuple[Array, Array]]
"""rows, Gram, limit, smallest scales -> integers and scales; `descent.search` unless another is named."""
DAMPING = 0.01
"""Part of the mean curvature added to every G: with fewer columns than unknowns it has no inverse."""
WEIGHT, BIAS = "/weight/integers", "/bias/integers"


@dataclass(frozen=True)
class Rounded:
    """What was done to a layer.

    Args:
        layer: node name.
        nearest: squared error of its output by nearest rounding, relative to the output's variance.
        found: by the integers taken.
    """

    layer: str
    nearest: float
    found: float


def round_layers(
    original: Graph,
    quantized: Graph,
    limits: Mapping[str, int],
    batches: list[Batch],
    threads: int,
    finder: Search = search,
) -> list[Rounded]:
    """Change weights, weight scales and biases of `quantized` in place.

    Args:
        original: the float graph.
        quantized: `to_qdq` of it.
        limits: largest magnitude of the weights of each layer to round anew, by node name.
        batches: their live activations are held in memory twice.
        threads: of the runtime.
        finder: of integers and scales.
    """
    layers = [node for node in original.nodes if node.name in limits and is_weighted(original, node)]
    inputs = {node.name: node.input[0] for node in quantized.nodes}
    targets = _targets(original, [node.output[0] for node in layers], batches, threads)
    seen = walk(quantized, [dict(batch) for batch in batches], [inputs[node.name] for node in layers], threads)
    report: list[Rounded] = []
    for node, (_, found), wanted in zip(layers, seen, targets, strict=True):
        shape = original.weights[node.input[1]].shape
        facts = moments(node, shape, found, wanted, seed=len(report))
        report.append(_round_layer(original, quantized, node, facts, limits[node.name], finder))
    return report


def _targets(original: Graph, stops: list[str], batches: list[Batch], threads: int) -> Iterator[list[Array]]:
    for _, arrays in walk(original, [dict(batch) for batch in batches], stops, threads):
        yield arrays


def _round_layer(
    original: Graph, quantized: Graph, node: onnx.NodeProto, facts: Moments, limit: int, finder: Search
) -> Rounded:
    weight = original.weights[node.input[1]]
    rows = weight_rows(node, weight) * (float(attribute(node, "alpha", 1.0)) if node.op_type == "Gemm" else 1.0)
    groups, channels = groups_of(node), len(rows)
    each = channels // groups
    has_bias = f"{node.name}{BIAS}" in quantized.weights
    input_scale = _input_scale(quantized, node.name)
    floor = _scale_floor(facts, rows, input_scale, groups) if has_bias else np.full(channels, TINY)
    gram = facts.gram + DAMPING * _mean_diagonal(facts.gram)[:, None, None] * np.eye(rows.shape[1])
    plain = np.clip(np.rint(rows / _range_scales(rows, limit, floor)), -limit, limit) * _range_scales(
        rows, limit, floor
    )
    wanted, integers, scales = np.empty_like(rows), np.empty(rows.shape, np.int8), np.empty(channels)
    for group in range(groups):
        part = slice(group * each, (group + 1) * each)
        pull = facts.cross[part] - rows[part] @ facts.gram[group]
        wanted[part] = rows[part] + np.linalg.solve(gram[group], pull.T).T
    if each == 1 and groups > 1:
        integers, scales = finder(wanted, gram, limit, floor)
    else:
        for group in range(groups):
            part = slice(group * each, (group + 1) * each)
            integers[part], scales[part] = finder(wanted[part], gram[group], limit, floor[part])
    result = integers * scales[:, None]
    quantized.weights[f"{node.name}{WEIGHT}"] = from_rows(node, integers, weight.shape)
    quantized.weights[f"{node.name}/weight/scale"] = scales.astype(np.float32)
    if has_bias:
        bias = facts.target_mean - np.sum(result * np.repeat(facts.input_mean, each, axis=0), axis=1)
        quantized.weights[f"{node.name}/bias/scale"] = (scales * input_scale).astype(np.float32)
        quantized.weights[f"{node.name}{BIAS}"] = quantize_bias(bias, scales, input_scale)
    wide = np.repeat(gram, each, axis=0) if each == 1 else gram
    return Rounded(node.name, _relative(rows, plain, wide, each), _relative(wanted, result, wide, each))


def _relative(rows: Array, rounded: Array, gram: Array, each: int) -> float:
    """Error of the layer's output over its variance."""
    if each == 1:
        error, power = quadratic_error(rows, rounded, gram), quadratic_error(rows, 0 * rows, gram)
    else:
        parts = [slice(i * each, (i + 1) * each) for i in range(len(gram))]
        error = np.concatenate([quadratic_error(rows[p], rounded[p], g) for p, g in zip(parts, gram, strict=True)])
        power = np.concatenate([quadratic_error(rows[p], 0 * rows[p], g) for p, g in zip(parts, gram, strict=True)])
    return float(error.sum() / max(float(power.sum()), 1e-300))


def _mean_diagonal(gram: Array) -> Array:
    return np.asarray(np.maximum(np.diagonal(gram, axis1=-2, axis2=-1).mean(axis=-1), 1e-12))


def _range_scales(rows: Array, limit: int, floor: Array) -> Array:
    return np.asarray(np.maximum(np.abs(rows).max(axis=1) / limit, floor)[:, None])


def _input_scale(quantized: Graph, name: str) -> float:
    node = next(node for node in quantized.nodes if node.name == name)
    return float(quantized.weights[quantized.producers[node.input[0]].input[1]])


def _scale_floor(facts: Moments, rows: Array, input_scale: float, groups: int) -> Array:
    """Smallest scales with which the bias stays inside its integers; twice what the float weights would need."""
    spread = np.repeat(facts.input_mean, len(rows) // groups, axis=0)
    bias = np.abs(facts.target_mean) + np.sum(np.abs(rows * spread), axis=1)
    return np.asarray(np.maximum(2 * bias / (input_scale * BIAS_LIMIT), TINY))
