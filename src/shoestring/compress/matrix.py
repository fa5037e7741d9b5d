"""Matrix products in 8 bits with float results: their inputs and weights are quantized, what lies between stays float.

Networks of matrix products spend their time there, while normalisations, softmax and residual sums are cheap and hurt
by rounding; leaving those in float is the first level of Xiao et al., "SmoothQuant", 2023 (table 2, O1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.graph import Graph, attribute, make_node, scalar
from shoestring.compress.layers import channel_axis, is_weighted
from shoestring.compress.observe import Range, value_ranges
from shoestring.compress.qdq import affine, channel_scales, quantize_weight
from shoestring.compress.scheme import Scheme

if TYPE_CHECKING:
    import onnx

    from shoestring.compress.walk import Batch

Array = npt.NDArray[Any]


def products(graph: Graph, kept: frozenset[str] = frozenset()) -> list[onnx.NodeProto]:
    """MatMul and Gemm whose second input is a constant of two dimensions, in graph order; not those in `kept`."""
    return [
        node
        for node in graph.nodes
        if node.op_type in {"MatMul", "Gemm"}
        and node.name not in kept
        and is_weighted(graph, node)
        and graph.weights[node.input[1]].ndim == 2
        and node.input[0] not in graph.weights
        and not attribute(node, "transA", 0)
    ]


def observed(
    graph: Graph, ranges: Mapping[str, Range], names: list[str], batches: list[Batch], threads: int
) -> dict[str, Range]:
    """`ranges` of these tensors; those it lacks, because a pass has made or changed them, are observed on `batches`."""
    missing = [name for name in names if name not in ranges]
    fresh = value_ranges(graph, lambda: iter([dict(batch) for batch in batches]), missing, threads) if missing else {}
    return {name: fresh[name] if name in fresh else ranges[name] for name in names}


def refusal(graph: Graph, kept: frozenset[str]) -> str | None:
    """Why no matrix product can be taken, or None: an unknown layer was named, or none is left."""
    missing = kept - {node.name for node in graph.nodes}
    if missing:
        return f"no layer is called {sorted(missing)[0]!r}"
    if not products(graph, kept):
        return "no MatMul or Gemm has constant float32 weights of two dimensions"
    return None


def in_out_weight(graph: Graph, node: onnx.NodeProto) -> Array:
    """The weight as (inputs, outputs), a Gemm's alpha applied."""
    weight = graph.weights[node.input[1]]
    flat = weight.T if channel_axis(node, 2) == 0 else weight
    alpha = np.float32(attribute(node, "alpha", 1.0)) if node.op_type == "Gemm" else np.float32(1)
    return np.ascontiguousarray(flat * alpha, dtype=np.float32)


def float_bias(graph: Graph, node: onnx.NodeProto) -> Array | None:
    """A Gemm's bias times its beta, or None."""
    if node.op_type != "Gemm" or len(node.input) < 3 or not node.input[2]:
        return None
    return np.asarray(graph.weights[node.input[2]] * np.float32(attribute(node, "beta", 1.0)), dtype=np.float32)


def replace_product(
    graph: Graph, node: onnx.NodeProto, made: onnx.NodeProto, before: list[onnx.NodeProto]
) -> list[onnx.NodeProto]:
    """The nodes that stand for `node`: `before`, `made` (whose output is set here) and an Add for its bias."""
    bias = float_bias(graph, node)
    if bias is None:
        made.output[0] = node.output[0]
        return [*before, made]
    name = f"{node.name}/bias"
    graph.weights[name] = bias
    made.output[0] = f"{node.output[0]}/product"
    return [*before, made, make_node("Add", [made.output[0], name], [node.output[0]], name)]


def to_matrix_qdq(graph: Graph, ranges: Mapping[str, Range], scheme: Scheme, kept: frozenset[str]) -> Graph:
    """`graph` with its matrix products in QuantizeLinear/DequantizeLinear form; a Gemm becomes MatMul and Add.

    Args:
        graph: float32; changed.
        ranges: of the products' inputs.
        scheme: integer types.
        kept: node names that stay in float.
    """
    chosen = {node.name for node in products(graph, kept)}
    nodes: list[onnx.NodeProto] = []
    ready: set[str] = set()
    for node in graph.nodes:
        if node.name not in chosen:
            nodes.append(node)
            continue
        source = node.input[0]
        if source not in ready:
            ready.add(source)
            nodes += _input_pair(graph, source, ranges[source], scheme)
        weight = in_out_weight(graph, node)
        scales = channel_scales(weight, 1, scheme.weight_limit, np.zeros(weight.shape[1]), 1.0)
        name = f"{node.name}/weight"
        graph.weights |= {
            f"{name}/integers": quantize_weight(weight, scales, 1, scheme.weight_limit),
            f"{name}/scale": scales,
            f"{name}/zero": np.zeros(scales.shape, np.int8),
        }
        widen = make_node(
            "DequantizeLinear",
            [f"{name}/{part}" for part in ("integers", "scale", "zero")],
            [name],
            f"{name}/wide",
            axis=1,
        )
        nodes += replace_product(graph, node, make_node("MatMul", [f"{source}/dq", name], [""], node.name), [widen])
    graph.nodes = nodes
    graph.reindex()
    return graph


def _input_pair(graph: Graph, name: str, span: Range, scheme: Scheme) -> list[onnx.NodeProto]:
    parameters = affine(span, scheme.activation_limits)
    scale, zero = f"{name}/scale", f"{name}/zero"
    graph.weights[scale] = scalar(parameters.scale)
    graph.weights[zero] = scalar(parameters.zero_point, scheme.activation)
    return [
        make_node("QuantizeLinear", [name, scale, zero], [f"{name}/q"], f"{name}/quantize"),
        make_node("DequantizeLinear", [f"{name}/q", scale, zero], [f"{name}/dq"], f"{name}/dequantize"),
    ]
