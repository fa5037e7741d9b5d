"""An ONNX file with static shapes and its constants, ready to be read node by node."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper, shape_inference

from shoestring.base.errors import ModelError

Array = npt.NDArray[Any]
OLDEST_OPSET = 11
MOST_FOLDED_ELEMENTS = 1 << 16
"""Constant arithmetic is folded up to this many elements: enough for shapes and scalars; weights are left alone."""


@dataclass(frozen=True)
class QuantizedConstant:
    """What a DequantizeLinear of constants gives: `scale * (integers - zero)` along `axis`."""

    integers: Array
    scale: Array
    zero: Array
    axis: int

    def real(self) -> Array:
        """The float32 values."""
        shape = [1] * self.integers.ndim
        if self.scale.ndim:
            shape[self.axis] = -1
        difference = self.integers.astype(np.int32) - self.zero.astype(np.int32).reshape(shape)
        return np.asarray(difference.astype(np.float32) * self.scale.astype(np.float32).reshape(shape), np.float32)


class Graph:
    """Nodes in order, shapes, constants and readers.

    Args:
        model: ONNX file or its bytes.

    Raises:
        ModelError: it is no ONNX model, has subgraphs or dynamic shapes, or an old opset.
    """

    def __init__(self, model: Path | bytes) -> None:
        data = model if isinstance(model, bytes) else model.read_bytes()
        self.sha256 = hashlib.sha256(data).hexdigest()
        try:
            proto = onnx.ModelProto.FromString(data)
        except Exception as error:  # noqa: BLE001 - protobuf raises what it likes
            raise ModelError(f"this is no ONNX model: {error}") from None
        opset = next((one.version for one in proto.opset_import if one.domain in ("", "ai.onnx")), 0)
        if opset < OLDEST_OPSET:
            raise ModelError(f"opset {opset} is older than {OLDEST_OPSET}", hint="export the model with opset 17")
        self.free_batch = _fix_batch(proto)
        try:
            proto = shape_inference.infer_shapes(proto, data_prop=True)
        except shape_inference.InferenceError as error:
            raise ModelError(f"the shapes of this model do not fit: {str(error).splitlines()[0]}") from None
        graph = proto.graph
        self.nodes = list(graph.node)
        self.constants: dict[str, Array] = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self.quantized: dict[str, QuantizedConstant] = {}
        self.inputs = [one for one in graph.input if one.name not in self.constants]
        self.outputs = list(graph.output)
        self.shapes = {
            one.name: _shape(one) for one in (*graph.value_info, *graph.output, *self.inputs) if _shape(one) is not None
        }
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self._fold()

    def shape(self, name: str) -> tuple[int, ...]:
        """Static shape of a tensor. Raises ModelError for one that is not known."""
        if name in self.constants:
            return tuple(self.constants[name].shape)
        shape = self.shapes.get(name)
        if shape is None:
            raise ModelError(
                f"the shape of {name!r} is not known before the model runs",
                hint="export the model with fixed shapes; only the batch may be free",
            )
        return shape

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        """The one node that reads a tensor that is no output, or None."""
        readers = self.readers.get(name, [])
        if len(readers) != 1 or any(one.name == name for one in self.outputs):
            return None
        return readers[0]

    def real_constant(self, name: str) -> Array | None:
        """A constant's float32 values, dequantized if need be; None for what is no constant."""
        if name in self.quantized:
            return self.quantized[name].real()
        found = self.constants.get(name)
        return None if found is None else found

    def _fold(self) -> None:
        """Evaluate what depends on constants alone."""
        left = []
        for node in self.nodes:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = _constant(node)
            elif node.op_type == "DequantizeLinear" and node.input[0] in self.constants:
                self.quantized[node.output[0]] = self._dequantized(node)
            elif node.op_type == "Shape" and self.shapes.get(node.input[0]) is not None:
                self.constants[node.output[0]] = np.array(self.shapes[node.input[0]], np.int64)
            elif node.input and all(not name or name in self.constants for name in node.input) and self._run(node):
                continue
            else:
                left.append(node)
        self.nodes = left

    def _dequantized(self, node: onnx.NodeProto) -> QuantizedConstant:
        integers, scale = self.constants[node.input[0]], self.constants[node.input[1]]
        has_zero = len(node.input) > 2 and bool(node.input[2])
        zero = self.constants[node.input[2]] if has_zero else np.zeros(scale.shape, integers.dtype)
        if scale.size == 1:
            scale, zero = scale.reshape(()), zero.reshape(())
        return QuantizedConstant(integers, scale, zero, int(attribute(node, "axis", 1)))

    def _run(self, node: onnx.NodeProto) -> bool:
        """Evaluate a small node with the ONNX reference; False when it cannot."""
        from onnx.reference import ReferenceEvaluator

        values = {name: self.constants[name] for name in node.input if name}
        if sum(value.size for value in values.values()) > MOST_FOLDED_ELEMENTS:
            return False
        inputs = [
            onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in values.items()
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
        graph = onnx.helper.make_graph([node], "constant", inputs, outputs)
        one = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
        try:
            found = ReferenceEvaluator(one).run(None, values)
        except (RuntimeError, TypeError, ValueError, NotImplementedError):
            return False
        for name, value in zip(node.output, found, strict=True):
            self.constants[name] = np.asarray(value)
        return True


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """An attribute's value, or `default`."""
    for item in node.attribute:
        if item.name == name:
            value = onnx.helper.get_attribute_value(item)
            return value.decode() if isinstance(value, bytes) else value
    return default


def _fix_batch(proto: onnx.ModelProto) -> set[str]:
    """Set a free first axis of every input to 1; the names of those inputs. Raises ModelError for other free axes."""
    constants = {one.name for one in proto.graph.initializer}
    free = set()
    del proto.graph.value_info[:]
    for one in proto.graph.input:
        if one.name in constants:
            continue
        for axis, dim in enumerate(one.type.tensor_type.shape.dim):
            if dim.WhichOneof("value") == "dim_value" and dim.dim_value > 0:
                continue
            if axis > 0:
                raise ModelError(
                    f"axis {axis} of input {one.name!r} is dynamic",
                    hint="export the model with fixed shapes; only the batch may be free",
                )
            dim.Clear()
            dim.dim_value = 1
            free.add(one.name)
    for one in proto.graph.output:
        one.type.tensor_type.ClearField("shape")
    return free


def _shape(one: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    tensor = one.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    sizes = [dim.dim_value if dim.WhichOneof("value") == "dim_value" else -1 for dim in tensor.shape.dim]
    return None if any(size < 0 for size in sizes) else tuple(sizes)


def _constant(node: onnx.NodeProto) -> Array:
    for item in node.attribute:
        value = onnx.helper.get_attribute_value(item)
        if item.name == "value":
            return np.asarray(numpy_helper.to_array(value))
        if item.name in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
        if item.name in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
    raise ModelError(f"constant {node.name or node.output[0]!r} holds no number")
