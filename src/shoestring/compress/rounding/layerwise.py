"""Layer after layer: choose the integers on inputs that the layers before, already rounded, really give.

Two walks run side by side, the float network and the quantized one, so that each layer knows what it should answer and
what it is given. After a layer's weights its bias takes back the shift of every channel's mean (see compress.bias).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.bias import Span, clamped_mean, correct_layer
from shoestring.compress.graph import attribute
from shoestring.compress.layers import channel_axis, is_weighted
from shoestring.compress.qdq import TINY, quantize_bias
from shoestring.compress.rounding.columns import Window
from shoestring.compress.rounding.moments import Moments, moments
from shoestring.compress.rounding.solve import solve
from shoestring.compress.walk import Batch, walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

    from shoestring.compress.graph import Graph

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Rounded:
    """What was done.

    Args:
        layers: whose integers were chosen by second-order rounding.
        plain: names of layers that kept rounding to nearest, because their inputs are not 2-D images or rows.
        relative_shift: root mean square of the bias shifts, in spreads of each layer's channel means.
    """

    layers: int
    plain: tuple[str, ...]
    relative_shift: float


def round_layers(
    original: Graph,
    quantized: Graph,
    batches: list[Batch],
    limit: int,
    threads: int,
    spans: Mapping[str, Span],
    *,
    drift: bool,
) -> Rounded:
    """Change integer weights, their scales and the biases of `quantized` in place.

    Args:
        original: float32, the graph that `to_qdq` made `quantized` of.
        quantized: its weighted layers are looked up by node name.
        batches: inputs; the live activations of both networks are held in memory.
        limit: largest magnitude of an integer weight.
        threads: of the runtime.
        spans: `bias.output_spans`; what lies beyond them reaches no later layer.
        drift: let weights make up for what earlier layers did to their inputs.
    """
    now = {node.name: node for node in quantized.nodes}
    layers = [
        node
        for node in original.nodes
        if is_weighted(original, node) and f"{node.name}/weight/integers" in quantized.weights
    ]
    found = walk(quantized, _copy(batches), [t for n in layers for t in _ends(now[n.name])], threads)
    wanted = walk(original, _copy(batches), [t for n in layers for t in _ends(n)], threads)
    plain: list[str] = []
    shifts = [0.0]
    for node in layers:
        (_, given), (_, meant) = next(found), next(wanted)
        span = held_span(quantized, now[node.name].input[0])
        seen = moments_of(original, node, given, [np.clip(x, *span) for x in meant])
        if seen is None:
            plain.append(node.name)
        else:
            _round_one(original, quantized, node, seen, limit, drift=drift)
        (_, answers), (_, targets) = next(found), next(wanted)
        if f"{node.name}/bias/integers" in quantized.weights:
            end = spans.get(node.name)
            target, _ = clamped_mean(targets, np.zeros(targets[0].shape[1]), end)
            shifts.append(correct_layer(quantized, node.name, answers, target, end))
    return Rounded(len(layers) - len(plain), tuple(plain), float(np.sqrt(np.mean(np.square(shifts)))))


def held_span(quantized: Graph, tensor: str) -> Span:
    """Smallest and largest value that a dequantized tensor can take."""
    node = quantized.producers[tensor]
    scale, zero = float(quantized.weights[node.input[1]]), quantized.weights[node.input[2]]
    limits = np.iinfo(zero.dtype)
    return (float(limits.min) - float(zero)) * scale, (float(limits.max) - float(zero)) * scale


def _copy(batches: list[Batch]) -> list[Batch]:
    return [dict(batch) for batch in batches]


def _ends(node: onnx.NodeProto) -> tuple[str, str]:
    return node.input[0], node.output[0]


def moments_of(original: Graph, node: onnx.NodeProto, given: list[Array], meant: list[Array]) -> Moments | None:
    """Moments of a layer's inputs; None where they are no 2-D images or rows."""
    weight = original.weights[node.input[1]]
    window = Window.of(node, weight) if node.op_type == "Conv" else None
    if window is None and (node.op_type == "Conv" or weight.ndim != 2 or attribute(node, "transA", 0)):
        return None
    return moments(given, meant, window)


def _round_one(
    original: Graph, quantized: Graph, node: onnx.NodeProto, seen: Moments, limit: int, *, drift: bool
) -> None:
    """Choose one layer's integers and scales."""
    weight = original.weights[node.input[1]]
    first = node.op_type == "Conv" or channel_axis(node, weight.ndim) == 0
    rows = weight.reshape(len(weight), -1) if first else weight.T
    alpha = attribute(node, "alpha", 1.0) if node.op_type == "Gemm" else 1.0
    name = f"{node.name}/weight"
    scales = quantized.weights[f"{name}/scale"].astype(np.float64)
    integers, scales = solve(rows.astype(np.float64) * alpha, scales, seen, limit, drift=drift)
    stored = quantized.weights[f"{name}/integers"]
    turned = integers if first else integers.T
    quantized.weights[f"{name}/integers"] = turned.reshape(stored.shape).astype(stored.dtype)
    quantized.weights[f"{name}/scale"] = np.maximum(scales, TINY).astype(np.float32)
    _rescale_bias(quantized, node.name)


def _rescale_bias(quantized: Graph, layer: str) -> None:
    """The same bias in the steps of the new weight scales."""
    name = f"{layer}/bias"
    if f"{name}/integers" not in quantized.weights:
        return
    value = quantized.weights[f"{name}/integers"] * quantized.weights[f"{name}/scale"].astype(np.float64)
    source = next(node.input[0] for node in quantized.nodes if node.name == layer)
    input_scale = float(quantized.weights[quantized.producers[source].input[1]])
    scales = quantized.weights[f"{layer}/weight/scale"]
    quantized.weights[f"{name}/scale"] = (scales.astype(np.float64) * input_scale).astype(np.float32)
    quantized.weights[f"{name}/integers"] = quantize_bias(value, scales, input_scale)
