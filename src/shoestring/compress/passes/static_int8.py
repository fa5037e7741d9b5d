"""8-bit weights and activations with ranges fixed in advance."""

from __future__ import annotations

from shoestring.base.errors import UsageError
from shoestring.compress.graph import Graph
from shoestring.compress.layers import is_weighted, plan
from shoestring.compress.passes.protocol import Options, Workshop
from shoestring.compress.quantize import to_qdq
from shoestring.compress.scheme import scheme_named


def float_layers(options: Options) -> frozenset[str]:
    """The option `float_layers`: names of layers that stay as they are."""
    names = options.get("float_layers", ())
    if not isinstance(names, tuple):
        raise UsageError(f"float_layers must be a list of layer names, got {names!r}")
    return frozenset(names)


class StaticInt8:
    """Options: `scheme` (see schemes.toml), `float_layers`."""

    name = "static_int8"

    def requires(self, graph: Graph, options: Options) -> str | None:
        known = {node.name for node in graph.nodes}
        missing = float_layers(options) - known
        if missing:
            return f"no layer is called {sorted(missing)[0]!r}"
        if any(node.op_type in {"QuantizeLinear", "DequantizeLinear", "QLinearConv"} for node in graph.nodes):
            return "the model is quantized already"
        if not plan(graph, float_layers(options)):
            return "no layer with constant float32 weights is left to quantize"
        return None

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        kept = float_layers(options)
        layers = plan(graph, kept)
        notes = [f"{len(layers)} operators in 8 bits ({options['scheme']})"]
        taken = {layer.node.name for layer in layers} | {
            layer.activation.name for layer in layers if layer.activation is not None
        }
        rest = [node for node in graph.nodes if node.name not in taken]
        if rest:
            kinds = sorted({node.op_type for node in rest})
            notes.append(f"{len(rest)} operators in float: {', '.join(kinds)}")
        if kept:
            notes.append(f"left in float because their rounding hurts most: {', '.join(sorted(kept))}")
        return to_qdq(graph, workshop.ranges, scheme_named(str(options["scheme"])), kept), tuple(notes)

    def ensures(self, graph: Graph, options: Options) -> str | None:
        kept = float_layers(options)
        for node in graph.nodes:
            in_float = is_weighted(graph, node)
            if in_float and node.name not in kept:
                return f"layer {node.name!r} stayed in float without being asked to"
            if node.name in kept and not in_float:
                return f"layer {node.name!r} was quantized although it should stay in float"
        return None
