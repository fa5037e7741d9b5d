"""A node of a graph, with the questions that rules and rewrites ask about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from shoestring.analysis.graphs import View, main_view
from shoestring.compress.graph import Array, Graph, attribute, make_node

if TYPE_CHECKING:
    from collections.abc import Sequence

NARROWED = "float32"


def look_at(graph: Graph) -> View:
    """Types and shapes of every tensor, for one example.

    Raises:
        ModelError: a free dimension other than the first, or shapes that contradict each other.
    """
    return main_view(onnx.ModelProto.FromString(graph.to_bytes()), 1)


@dataclass
class Site:
    """One node in its graph.

    Args:
        graph: whose weights a rewrite may add to.
        view: types and shapes, from before any rewrite of this round.
        node: in question.
        made: names of tensors that a rewrite has added here.
    """

    graph: Graph
    view: View
    node: onnx.NodeProto
    made: list[str] = field(default_factory=list)

    @property
    def output(self) -> str:
        return str(self.node.output[0])

    def attribute(self, name: str, default: Any = None) -> Any:
        """The value of an attribute; text as `str`."""
        found = attribute(self.node, name, default)
        return found.decode() if isinstance(found, bytes) else found

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Of a tensor for one example; None where it depends on the data."""
        found = self.view.tensors.get(name)
        return None if found is None else found.shape

    def rank(self, name: str) -> int | None:
        shape = self.shape(name)
        return None if shape is None else len(shape)

    def element(self, name: str) -> str | None:
        """ONNX's name of a tensor's element type."""
        found = self.view.tensors.get(name)
        return None if found is None or not found.dtype else str(onnx.TensorProto.DataType.Name(found.dtype))

    def given(self, index: int) -> str | None:
        """Name of an input; None where it is left out."""
        return str(self.node.input[index]) if index < len(self.node.input) and self.node.input[index] else None

    def stored(self, index: int) -> Array | None:
        """Value of an input that is a weight of the graph; None where it is computed or left out."""
        name = self.given(index)
        return None if name is None else self.graph.weights.get(name)

    def integers(self, index: int, name: str) -> list[int] | None:
        """A list that newer operator sets take as an input and older ones as an attribute; None where it is computed.

        An empty list stands for one that is left out.
        """
        if self.given(index) is None:
            return [int(value) for value in self.attribute(name, [])]
        value = self.stored(index)
        return None if value is None else [int(one) for one in np.atleast_1d(value)]

    def activations(self) -> list[str]:
        """Computed tensors that the node reads and makes."""
        return self.view.activations([*self.node.input, *self.node.output])

    # --- what rewrites write ---

    def constant(self, suffix: str, value: Any, dtype: str = NARROWED) -> str:
        """A new weight, named after the node's output."""
        name = f"{self.output}/{suffix}"
        self.graph.weights[name] = np.asarray(value, dtype)
        return name

    def step(
        self, operator: str, inputs: Sequence[str], suffix: str | None = None, **attributes: Any
    ) -> onnx.NodeProto:
        """A new node; without a suffix it is the last and makes what the node made, under the node's name."""
        output = self.output if suffix is None else f"{self.output}/{suffix}"
        name = (self.node.name or self.output) if suffix is None else output
        return make_node(operator, list(inputs), [output], name, **attributes)


def producer(site: Site, name: str | None, operator: str) -> onnx.NodeProto | None:
    """The node of that operator whose result `name` only this reader takes."""
    node = None if name is None else site.graph.producers.get(name)
    if node is None or node.op_type != operator or name is None:
        return None
    return node if site.graph.sole_consumer(name) is not None else None
