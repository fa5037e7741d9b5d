"""Rewrites a float graph into QuantizeLinear/DequantizeLinear form, which runtimes fuse into integer kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from shoestring.compress.graph import Graph, attribute, make_node, scalar
from shoestring.compress.layers import SAME_SCALE, Layer, channel_axis, is_weighted, plan
from shoestring.compress.observe import Range
from shoestring.compress.qdq import Affine, affine, channel_scales, quantize_bias, quantize_weight
from shoestring.compress.scheme import Scheme

if TYPE_CHECKING:
    import onnx

RAW, QUANTIZED, DEQUANTIZED = "/raw", "/q", "/dq"
SIGMOID = Range(0.0, 255 / 256)
"""Steps of 1/256 whatever was seen: LiteRT 8-bit quantization specification, LOGISTIC."""


def needed_ranges(graph: Graph) -> list[str]:
    """Every tensor whose range `to_qdq` may ask for, whatever layers stay in float."""
    names: dict[str, None] = {}
    for layer in plan(graph, frozenset()):
        for name in (*layer.node.input, *layer.outputs, *layer.node.output):
            if name and name not in graph.weights:
                names.setdefault(name)
    return list(names)


def to_qdq(graph: Graph, ranges: Mapping[str, Range], scheme: Scheme, float_layers: frozenset[str]) -> Graph:
    """The 8-bit version of `graph`; layers named in `float_layers` stay as they are.

    Args:
        graph: float32, normalised; not changed.
        ranges: of every tensor that `needed_ranges` names.
        scheme: integer types.
        float_layers: node names.
    """
    return _Rewriter(graph, ranges, scheme, float_layers).run()


class _Rewriter:
    def __init__(self, graph: Graph, ranges: Mapping[str, Range], scheme: Scheme, float_layers: frozenset[str]) -> None:
        self.source = graph
        self.target = graph.copy()
        self.ranges = ranges
        self.scheme = scheme
        self.layers = {layer.node.name: layer for layer in plan(graph, float_layers)}
        self.folded = {layer.activation.name for layer in self.layers.values() if layer.activation is not None}
        self.outputs = {name for layer in self.layers.values() for name in layer.outputs}
        self.parameters: dict[str, Affine] = {}
        self.nodes: list[onnx.NodeProto] = []

    def run(self) -> Graph:
        for node in self.source.nodes:
            if node.name in self.folded:
                continue
            layer = self.layers.get(node.name)
            if layer is None:
                self.nodes.append(node)
            else:
                self._quantize(layer)
        self.target.nodes = self.nodes
        self.target.reindex()
        return self.target

    def _quantize(self, layer: Layer) -> None:
        source = layer.node
        node = make_node(source.op_type, list(source.input), list(source.output), source.name)
        node.attribute.extend(source.attribute)
        data = [i for i, name in enumerate(source.input) if name and name not in self.source.weights]
        for i in data:
            node.input[i] = self._incoming(source.input[i])
        if is_weighted(self.source, source):
            self._quantize_weights(node, self.parameters[source.input[0]].scale)
        if source.op_type in SAME_SCALE:
            self.parameters |= dict.fromkeys(layer.outputs, self.parameters[source.input[data[0]]])
        elif source.op_type == "Sigmoid":
            self.parameters[layer.output] = affine(SIGMOID, self.scheme.activation_limits)
        if self._stays_float(layer):
            node.output[0] = layer.output
            self.nodes.append(node)
            return
        node.output[:] = [name + RAW for name in layer.outputs]
        self.nodes.append(node)
        for name in layer.outputs:
            self._pair(name + RAW, name, name)

    def _stays_float(self, layer: Layer) -> bool:
        """A last fully connected layer gives its accumulator as float: no second rounding, no ties between classes."""
        last = layer.output in self.source.outputs and layer.output not in self.source.consumers
        return last and layer.node.op_type in {"Gemm", "MatMul"} and layer.activation is None

    def _incoming(self, name: str) -> str:
        """The dequantized form of an input; made on first use where its producer works in float."""
        if name in self.outputs:
            return name
        if name not in self.parameters:
            self._pair(name, name, name + DEQUANTIZED)
        return name + DEQUANTIZED

    def _pair(self, value: str, tensor: str, result: str) -> None:
        """Append QuantizeLinear and DequantizeLinear from `value` to `result` with the parameters of `tensor`."""
        parameters = self.parameters.get(tensor) or affine(self.ranges[tensor], self.scheme.activation_limits)
        self.parameters[tensor] = parameters
        scale, zero = f"{tensor}/scale", f"{tensor}/zero"
        self.target.weights[scale] = scalar(parameters.scale)
        self.target.weights[zero] = scalar(parameters.zero_point, self.scheme.activation)
        integers = tensor + QUANTIZED
        self.nodes.append(make_node("QuantizeLinear", [value, scale, zero], [integers], f"{tensor}/quantize"))
        self.nodes.append(make_node("DequantizeLinear", [integers, scale, zero], [result], f"{tensor}/dequantize"))

    def _quantize_weights(self, node: onnx.NodeProto, input_scale: float) -> None:
        weight = self.source.weights[node.input[1]]
        axis = channel_axis(node, weight.ndim)
        has_bias = len(node.input) > 2 and bool(node.input[2])
        channels = weight.shape[axis]
        bias = self.source.weights[node.input[2]].reshape(-1) if has_bias else np.zeros(channels, np.float32)
        if node.op_type == "Gemm":
            weight = weight * np.float32(attribute(node, "alpha", 1.0))
            bias = np.broadcast_to(bias * np.float32(attribute(node, "beta", 1.0)), (channels,))
            kept = [item for item in node.attribute if item.name not in {"alpha", "beta"}]
            del node.attribute[:]
            node.attribute.extend(kept)
        scales = channel_scales(weight, axis, self.scheme.weight_limit, bias, input_scale)
        integers = quantize_weight(weight, scales, axis, self.scheme.weight_limit)
        node.input[1] = self._constant(f"{node.name}/weight", integers, scales, axis)
        if node.op_type == "MatMul":
            return
        accumulator_scales = (scales.astype(np.float64) * input_scale).astype(np.float32)
        dequantized = self._constant(
            f"{node.name}/bias", quantize_bias(bias, scales, input_scale), accumulator_scales, 0
        )
        if len(node.input) > 2:
            node.input[2] = dequantized
        else:
            node.input.append(dequantized)

    def _constant(self, name: str, integers: np.ndarray, scales: np.ndarray, axis: int) -> str:
        self.target.weights |= {
            f"{name}/integers": integers,
            f"{name}/scale": scales,
            f"{name}/zero": np.zeros(scales.shape, integers.dtype),
        }
        inputs = [f"{name}/integers", f"{name}/scale", f"{name}/zero"]
        self.nodes.append(make_node("DequantizeLinear", inputs, [name], f"{name}/dequantize", axis=axis))
        return name
