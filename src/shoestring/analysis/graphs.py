"""A graph made ready to be counted: every tensor's size, and what is stored rather than computed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import MissingExtraError, ModelError
from shoestring.domain.elements import ELEMENT_BITS

try:
    from google.protobuf.message import DecodeError
    from onnx import GraphProto, ModelProto, TensorProto, helper, shape_inference
except ImportError as error:
    raise MissingExtraError("onnx", "fit") from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_SMALL_BYTES = 4096  # shapes, axes, scales: what shape inference looks into
_BITS = {number: ELEMENT_BITS[name] for name, number in TensorProto.DataType.items() if name in ELEMENT_BITS}
FLOATS = frozenset(TensorProto.DataType.Value(name) for name in ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE"))


@dataclass(frozen=True)
class Tensor:
    """Type and shape of a tensor; None for a shape that depends on the data."""

    dtype: int
    shape: tuple[int, ...] | None

    @property
    def count(self) -> int:
        return 0 if self.shape is None else math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """0 where unknown, and for text."""
        return (self.count * _BITS.get(self.dtype, 0) + 7) // 8


@dataclass(frozen=True)
class Stored:
    """What lies behind a tensor that depends on weights alone.

    Args:
        weights: names of the initialisers that hold its values.
        bytes_of: names of all that must be read for it: those, and scales, zero points, axes.
    """

    weights: frozenset[str]
    bytes_of: frozenset[str]


@dataclass
class View:
    """One graph, of a model or of a body, with what is known from around it."""

    graph: Any
    tensors: dict[str, Tensor]
    stored: dict[str, Stored]
    pinned: set[str] = field(default_factory=set)

    @property
    def nodes(self) -> Any:
        return self.graph.node

    def shape(self, name: str, node: Any) -> tuple[int, ...]:
        """The shape of a tensor. Raises ModelError that names the node when it is unknown."""
        found = self.tensors.get(name)
        if found is None or found.shape is None:
            raise ModelError(
                f"the shape of {name!r} at {node.op_type} {node.name!r} depends on the data",
                hint="export the model with static shapes",
            )
        return found.shape

    def size_bytes(self, name: str) -> int:
        found = self.tensors.get(name)
        return 0 if found is None else found.size_bytes

    def activations(self, names: Iterable[str]) -> list[str]:
        """Those names, each once, that are computed rather than stored."""
        return [name for name in dict.fromkeys(names) if name and name not in self.stored]

    def body(self, graph: Any) -> View:
        """A subgraph, which sees everything around it."""
        return view(graph, self.tensors, self.stored)


def bodies(node: Any) -> Iterator[tuple[str, Any]]:
    """The subgraphs of a node, with the names of their attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.name, attribute.g
        for index, graph in enumerate(attribute.graphs):
            yield f"{attribute.name}{index}", graph


def captured(graph: Any) -> Iterator[str]:
    """Every name that a body or the bodies inside it read; those from around it are among them."""
    for node in graph.node:
        yield from (name for name in node.input if name)
        for _, body in bodies(node):
            yield from captured(body)
    yield from (value.name for value in graph.output)


def read(path: Path) -> Any:
    """The model in a file; its external data stays unopened. Raises ModelError."""
    try:
        model = ModelProto.FromString(path.read_bytes())
    except DecodeError as error:
        raise ModelError(f"{path} is not an ONNX file", hint="give a binary .onnx file") from error
    if not model.graph.node:
        raise ModelError(f"{path} holds no graph", hint="give a binary .onnx file")
    return model


def main_view(model: Any, batch: int) -> View:
    """The model's graph with shapes inferred at a batch size.

    Raises:
        ModelError: a free dimension other than the first, or shapes that contradict each other.
    """
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name not in weights:
            _fix(value, batch)
    inferred = _infer(model)
    return view(inferred, {}, {}, {item.name: item for item in graph.initializer})


def _fix(value: Any, batch: int) -> None:
    for axis, dim in enumerate(value.type.tensor_type.shape.dim):
        if dim.HasField("dim_value") and dim.dim_value > 0:
            continue
        if axis > 0:
            raise ModelError(
                f"input {value.name!r} leaves dimension {axis} open", hint="import the model with its shape given"
            )
        dim.dim_value = batch


def _infer(model: Any) -> Any:
    """The graph with inferred types. Large weights are stood in for by inputs: inference only asks for their shapes."""
    source = model.graph
    large = [tensor for tensor in source.initializer if tensor.ByteSize() > _SMALL_BYTES]
    names = {tensor.name for tensor in large}
    lean = GraphProto(name="lean", node=source.node)
    lean.input.extend(value for value in source.input if value.name not in names)
    lean.input.extend(helper.make_tensor_value_info(item.name, item.data_type, list(item.dims)) for item in large)
    lean.initializer.extend(tensor for tensor in source.initializer if tensor.name not in names)
    lean.output.extend(source.output)
    _forget_shapes(lean)
    _lend(lean, {tensor.name: tensor for tensor in lean.initializer})
    stand_in = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, graph=lean)
    try:
        return shape_inference.infer_shapes(stand_in, strict_mode=False, data_prop=True).graph
    except (shape_inference.InferenceError, RuntimeError) as error:
        raise ModelError(f"its shapes cannot be inferred: {str(error).splitlines()[0][:300]}") from error


def _forget_shapes(graph: Any) -> None:
    """Drop what a graph and its bodies state of their outputs: it may be stale, and free where inference knows."""
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    for node in graph.node:
        for _, body in bodies(node):
            _forget_shapes(body)


def _lend(graph: Any, small: dict[str, Any]) -> None:
    """Copy what bodies read of the small weights around them into them: inference does not look outside for values."""
    for node in graph.node:
        for _, body in bodies(node):
            own = {tensor.name for tensor in body.initializer}
            wanted = dict.fromkeys(name for name in captured(body) if name in small and name not in own)
            body.initializer.extend(small[name] for name in wanted)
            _lend(body, small)


def view(
    graph: Any, tensors: dict[str, Tensor], stored: dict[str, Stored], weights: dict[str, Any] | None = None
) -> View:
    """Look at a graph, given what is known around it.

    Args:
        graph: with inferred types.
        tensors: of the graphs around.
        stored: of the graphs around.
        weights: initialisers by name, when not those of `graph` itself.
    """
    own = {item.name: item for item in graph.initializer} if weights is None else weights
    tensors, stored = dict(tensors), dict(stored)
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensors[value.name] = _tensor(value.type.tensor_type)
    for name, item in own.items():
        tensors[name] = Tensor(item.data_type, tuple(item.dims))
        stored[name] = Stored(frozenset({name}), frozenset({name}))
    for node in graph.node:
        _note_stored(node, tensors, stored)
    return View(graph, tensors, stored, {value.name for value in graph.output})


def _tensor(kind: Any) -> Tensor:
    known = kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim)
    return Tensor(kind.elem_type, tuple(dim.dim_value for dim in kind.shape.dim) if known else None)


def _note_stored(node: Any, tensors: dict[str, Tensor], stored: dict[str, Stored]) -> None:
    """Extend `stored` by the outputs of a node that depends on weights alone."""
    names = [name for name in node.input if name]
    if node.op_type == "Constant":
        for attribute in node.attribute:
            if attribute.name == "value":
                tensors[node.output[0]] = Tensor(attribute.t.data_type, tuple(attribute.t.dims))
        stored[node.output[0]] = Stored(frozenset({node.output[0]}), frozenset({node.output[0]}))
    elif names and all(name in stored for name in names) and not any(bodies(node)):
        behind = Stored(stored[names[0]].weights, frozenset().union(*(stored[name].bytes_of for name in names)))
        stored.update({name: behind for name in node.output if name})
