"""The ONNX graph as it grows, with the shape of every Darknet layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import ModelError
from shoestring.importers.require import helper, numpy_helper, onnx

OPSET = 17
INPUT = "images"
MAX_ELEMENTS = 2**28  # of one activation, 1 GB in float32: more than any board we serve has


@dataclass(frozen=True)
class Value:
    """What a Darknet layer gives, for one image.

    Args:
        name: of the ONNX tensor.
        channels, height, width: as Darknet counts them; a vector has a height and width of 1.
        flat: the tensor has the shape (N, channels), not (N, channels, height, width).
    """

    name: str
    channels: int
    height: int
    width: int
    flat: bool = False

    @property
    def elements(self) -> int:
        return self.channels * self.height * self.width

    @property
    def size(self) -> str:
        return f"{self.width} x {self.height} x {self.channels}"


@dataclass
class Builder:
    """Nodes and weights in the making.

    Args:
        input: the image that the network reads.
        layers: results by Darknet's layer number; None where nothing may be read (a head).
        heads: outputs with what is needed to decode them.
    """

    input: Value
    nodes: list[Any] = field(default_factory=list)
    weights: dict[str, Any] = field(default_factory=dict)
    layers: list[Value | None] = field(default_factory=list)
    heads: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node with one output, and return that output's name."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, array: npt.NDArray[Any] | np.generic) -> str:
        """Add a weight and return its name."""
        self.weights[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def value(self, name: str, channels: int, height: int, width: int, *, flat: bool = False) -> Value:
        """A layer's result, held to what fits into memory.

        Raises:
            ModelError: empty or too large.
        """
        made = Value(name, channels, height, width, flat)
        if min(channels, height, width) < 1 or made.elements > MAX_ELEMENTS:
            raise ModelError(
                f"{name}: its result is {made.size}; each must be at least 1, and the product at most {MAX_ELEMENTS:,}",
                hint="check width, height, stride and filters in the .cfg",
            )
        return made

    def output(self, value: Value, name: str) -> None:
        """Make a graph output of a tensor that something else may read too."""
        self.node("Identity", [value.name], name)
        self.outputs.append(Value(name, value.channels, value.height, value.width, value.flat))

    def model(self, metadata: dict[str, str]) -> Any:
        """The whole ONNX model."""
        graph = helper.make_graph(
            self.nodes,
            "darknet",
            [_info(self.input)],
            [_info(value) for value in self.outputs],
            list(self.weights.values()),
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        helper.set_model_props(made, metadata)
        return made


def _info(value: Value) -> Any:
    shape = [value.channels] if value.flat else [value.channels, value.height, value.width]
    return helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, ["batch", *shape])
