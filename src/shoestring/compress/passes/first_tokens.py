"""An encoder that reads the beginning of a text only: many texts say early what they are about.

The cut stands in the graph, so that the certificate speaks of it: what is scored is the model with the cut, against the
original that reads the whole text.
"""

from __future__ import annotations

import numpy as np

from shoestring.base.errors import UsageError
from shoestring.compress.graph import Graph, make_node
from shoestring.compress.passes.protocol import Options, Workshop

FIRST = "/first"


class FirstTokens:
    """Option: `tokens`, how many are read. Every input must be whole numbers (texts, tokens)."""

    name = "first_tokens"

    def requires(self, graph: Graph, options: Options) -> str | None:
        _tokens(options)
        for value in graph.proto.graph.input:
            kind = value.type.tensor_type
            if kind.elem_type not in (6, 7) or len(kind.shape.dim) != 2:  # int32, int64 of TensorProto.DataType
                return f"input {value.name!r} is not whole numbers (texts, tokens)"
            if kind.shape.dim[1].HasField("dim_value"):
                return f"input {value.name!r} takes {kind.shape.dim[1].dim_value} tokens and no other number"
        return None

    def run(self, graph: Graph, options: Options, workshop: Workshop) -> tuple[Graph, tuple[str, ...]]:
        tokens = _tokens(options)
        graph.weights |= {
            f"start{FIRST}": np.array([0], np.int64),
            f"end{FIRST}": np.array([tokens], np.int64),
            f"axis{FIRST}": np.array([1], np.int64),
        }
        bounds = [f"start{FIRST}", f"end{FIRST}", f"axis{FIRST}"]
        cuts = []
        for name in graph.inputs:
            for node in graph.nodes:
                for index, given in enumerate(node.input):
                    if given == name:
                        node.input[index] = name + FIRST
            cuts.append(make_node("Slice", [name, *bounds], [name + FIRST], name + FIRST))
        graph.nodes = cuts + graph.nodes
        graph.reindex()
        return graph, (f"reads the first {tokens} tokens of a text",)

    def ensures(self, graph: Graph, options: Options) -> str | None:
        for node in graph.nodes:
            whole = [name for name in node.input if name in graph.inputs]
            if whole and node.op_type != "Slice":
                return f"{node.name!r} reads all of {whole[0]!r}"
        return None


def _tokens(options: Options) -> int:
    tokens = options.get("tokens")
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 2:
        raise UsageError(f"tokens must be a whole number, at least 2, got {tokens!r}")
    return tokens
