"""Small questions to, and edits of, an ONNX graph. The only place that knows protobuf's shape."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import MissingExtraError

try:
    import onnx
    from onnx import helper, numpy_helper
except ImportError as error:
    raise MissingExtraError("onnx", "fit") from error

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Array = npt.NDArray[Any]


@dataclass
class Graph:
    """A model being rewritten: nodes in order, weights by name, who makes and who reads each tensor.

    `proto` is ours to change; take a fresh one from `load` or `copy`. Edits go through the methods; call `reindex`
    after touching `nodes` by hand.
    """

    proto: onnx.ModelProto
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: dict[str, Array] = field(default_factory=dict)
    producers: dict[str, onnx.NodeProto] = field(default_factory=dict)
    consumers: dict[str, list[onnx.NodeProto]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.nodes = list(self.proto.graph.node)
        self.weights = {item.name: numpy_helper.to_array(item) for item in self.proto.graph.initializer}
        self.reindex()

    @staticmethod
    def load(path: Path) -> Graph:
        return Graph(onnx.load_model_from_string(path.read_bytes()))

    def copy(self) -> Graph:
        return Graph(onnx.ModelProto.FromString(self.to_bytes()))

    def reindex(self) -> None:
        self.producers = {name: node for node in self.nodes for name in node.output if name}
        readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                if name:
                    readers[name].append(node)
        self.consumers = dict(readers)

    @property
    def opset(self) -> int:
        """Version of the default operator set."""
        return max(int(item.version) for item in self.proto.opset_import if item.domain in ("", "ai.onnx"))

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(value.name for value in self.proto.graph.input)

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(value.name for value in self.proto.graph.output)

    def sole_consumer(self, name: str) -> onnx.NodeProto | None:
        """The one node that reads `name`, if it is one and `name` is no graph output."""
        readers = self.consumers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def to_bytes(self, extra_outputs: Iterable[str] = ()) -> bytes:
        """Serialised model, deterministic; `extra_outputs` are made visible as further graph outputs."""
        graph = self.proto.graph
        model = onnx.ModelProto()
        model.CopyFrom(self.proto)
        del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
        model.graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input} | {value.name for value in graph.output}
        model.graph.initializer.extend(
            numpy_helper.from_array(value, name) for name, value in sorted(self.weights.items()) if name in used
        )
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in extra_outputs)
        return bytes(model.SerializeToString(deterministic=True))


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """The value of an attribute, or `default` when the node does not set it."""
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return default


def make_node(operator: str, inputs: list[str], outputs: list[str], name: str, **attributes: Any) -> onnx.NodeProto:
    """A node of the default domain with a name."""
    node: onnx.NodeProto = helper.make_node(operator, inputs, outputs, name=name, **attributes)
    return node


def scalar(value: float, dtype: str = "float32") -> Array:
    """A zero-dimensional array, as ONNX wants scales and zero points."""
    return np.array(value, dtype=dtype)
