"""8-bit matrix products with ranges fixed in advance (Xiao et al., "SmoothQuant", 2023, level O1)."""

from __future__ import annotations

from shoestring.compress.graph import Graph
from shoestring.compress.matrix import observed, products, refusal, to_matrix_qdq
from shoestring.compress.passes.protocol import Options, Workshop
from shoestring.compress.passes.static_int8 import float_layers
from shoestring.compress.scheme import scheme_named


class MatrixInt8:
    """Options: `scheme` (see schemes.toml), `float_layers`."""

    name = "matrix_int8"

    def requires(self, graph: Graph, options: Options) -> str | None:
        return refusal(graph, float_layers(options))

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        kept, scheme = float_layers(options), scheme_named(str(options["scheme"]))
        chosen = products(graph, kept)
        names = list(dict.fromkeys(node.input[0] for node in chosen))
        ranges = observed(graph, workshop.ranges, names, workshop.batches, workshop.threads)
        rest = len(graph.nodes) - len(chosen)
        note = f"{len(chosen)} matrix products in 8 bits ({scheme.name}) with float results; {rest} operators in float"
        return to_matrix_qdq(graph, ranges, scheme, kept), (note,)

    def ensures(self, graph: Graph, options: Options) -> str | None:
        left = products(graph, float_layers(options))
        return f"layer {left[0].name!r} stayed in float without being asked to" if left else None
