"""Reads a graph node by node and keeps what every tensor has become."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx

from shoestring.base.errors import ModelError
from shoestring.native.form import Clamp, Dequantize, Op, Port, Program, Quantize, Table, Value
from shoestring.native.importing.graph import Array, Graph, attribute

Handler = Callable[["Reader", onnx.NodeProto], None]


class Refused(Exception):
    """An operator that cannot be compiled, with the reason; caught by `read`, which names them all."""


class Reader:
    """State of one reading.

    Args:
        graph: static.
        handlers: by operator type.
    """

    def __init__(self, graph: Graph, handlers: dict[str, Handler]) -> None:
        self.graph = graph
        self.handlers = handlers
        self.values: dict[str, Value] = {}
        self.ops: list[Op] = []
        self.codes: dict[str, str] = {}  # a DequantizeLinear's output, or one that moves codes -> the i8 value
        self.same: dict[str, str] = {}  # a tensor that is another one
        self.taken: set[int] = set()  # nodes that others have absorbed
        self.notes: list[str] = []

    def read(self, name: str) -> Program:
        """The whole graph. Raises ModelError that names every operator that cannot be compiled."""
        inputs = [self._input(one) for one in self.graph.inputs]
        refused: list[str] = []
        for node in self.graph.nodes:
            handler = self.handlers.get(node.op_type if node.domain in ("", "ai.onnx") else "")
            if handler is None:
                refused.append(f"{node.op_type} {node.name!r} (no such kernel)")
            elif not refused and id(node) not in self.taken:
                try:
                    handler(self, node)
                except Refused as reason:
                    refused.append(f"{node.op_type} {node.name!r} ({reason})")
        if refused:
            raise ModelError(
                f"{len(refused)} operator(s) cannot be compiled: " + "; ".join(refused[:20]),
                hint="run the model on another runtime, or replace these operators before exporting",
            )
        outputs = [self._output(one) for one in self.graph.outputs]
        return Program(
            name, self.values, tuple(self.ops), tuple(inputs), tuple(outputs), self.graph.sha256, tuple(self.notes)
        )

    # --- what tensors are -------------------------------------------------------------------------------------------

    def resolve(self, name: str) -> str:
        while name in self.same:
            name = self.same[name]
        return name

    def integer(self, name: str) -> Value | None:
        """The i8 value whose dequantized form this tensor is, or None."""
        found = self.codes.get(self.resolve(name))
        return None if found is None else self.values[found]

    def real(self, name: str) -> str:
        """The f32 value of a tensor; dequantized on first use."""
        name = self.resolve(name)
        if name in self.codes:
            result = f"{name}/real"
            if result not in self.values:
                self.values[result] = Value(result, self.graph.shape(name), "f32")
                self.ops.append(Dequantize(f"{name}/dequantize", (self.codes[name],), result))
            return result
        if name not in self.values:
            raise Refused(f"its input {name!r} is a constant or no float")
        return name

    def add(self, op: Op, value: Value) -> None:
        self.values[value.name] = value
        self.ops.append(op)

    def new_real(self, name: str) -> Value:
        return Value(name, self.graph.shape(name), "f32")

    # --- what follows a node ----------------------------------------------------------------------------------------

    def activation(self, name: str) -> tuple[str, tuple[float, float], list[onnx.NodeProto]]:
        """The tensor behind a ReLU or Clip that alone reads `name`, its bounds, and the nodes passed over."""
        reader = self.graph.only_reader(name)
        limits = None if reader is None else clip_limits(self.graph, reader)
        if reader is None or limits is None:
            return name, (-np.inf, np.inf), []
        return reader.output[0], limits, [reader]

    def quantized_as(self, name: str) -> tuple[onnx.NodeProto, Value] | None:
        """The QuantizeLinear that alone reads `name`, and the value it makes."""
        reader = self.graph.only_reader(name)
        if reader is None or reader.op_type != "QuantizeLinear":
            return None
        return reader, self.quantizer(reader)

    def quantizer(self, node: onnx.NodeProto) -> Value:
        """The i8 value of a QuantizeLinear."""
        scale, zero = self.affine(node)
        return Value(node.output[0], self.graph.shape(node.output[0]), "i8", scale, zero)

    def affine(self, node: onnx.NodeProto) -> tuple[float, int]:
        """Scale and zero point (a code) of a QuantizeLinear or DequantizeLinear. Raises Refused."""
        scale = self.graph.constants.get(node.input[1])
        zero = self.graph.constants.get(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros((), np.uint8)
        if scale is None or zero is None or scale.size != 1 or zero.size != 1:
            raise Refused("scale and zero point must be one constant each")
        if zero.dtype not in (np.uint8, np.int8):
            raise Refused(f"codes of type {zero.dtype}, not uint8 or int8")
        return float(np.float32(scale.reshape(()))), int(zero.reshape(())) + (128 if zero.dtype == np.int8 else 0)

    def take(self, nodes: list[onnx.NodeProto]) -> None:
        self.taken.update(id(node) for node in nodes)

    # --- ports ------------------------------------------------------------------------------------------------------

    def _input(self, one: onnx.ValueInfoProto) -> Port:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(one.type.tensor_type.elem_type)).name
        free = one.name in self.graph.free_batch
        shape = self.graph.shape(one.name)
        if dtype == "float32":
            self.values[one.name] = Value(one.name, shape, "f32")
            return Port(one.name, one.name, dtype, free)
        readers = self.graph.readers.get(one.name, [])
        if dtype not in ("uint8", "int8") or not readers or any(r.op_type != "DequantizeLinear" for r in readers):
            raise ModelError(
                f"input {one.name!r} is {dtype}", hint="programs take float32, or uint8 and int8 that are dequantized first"
            )
        try:
            scale, zero = self.affine(readers[0])
        except Refused as reason:
            raise ModelError(f"input {one.name!r}: {reason}") from None
        self.values[one.name] = Value(one.name, shape, "i8", scale, zero)
        return Port(one.name, one.name, dtype, free)

    def _output(self, one: onnx.ValueInfoProto) -> Port:
        free = bool(self.graph.free_batch)
        try:
            name = self.resolve(one.name)
            if name in self.values and self.values[name].kind == "i8":
                kind = one.type.tensor_type.elem_type
                return Port(one.name, name, "int8" if kind == onnx.TensorProto.INT8 else "uint8", free)
            return Port(one.name, self.real(one.name), "float32", free)
        except Refused as reason:
            raise ModelError(f"output {one.name!r}: {reason}") from None


def clip_limits(graph: Graph, node: onnx.NodeProto) -> tuple[float, float] | None:
    """Bounds of a ReLU or a Clip with constant bounds; None for any other node."""
    if node.op_type == "Relu":
        return 0.0, np.inf
    if node.op_type != "Clip":
        return None
    limits = [float(attribute(node, "min", -np.inf)), float(attribute(node, "max", np.inf))]
    for i, name in enumerate(node.input[1:3]):
        if name:
            constant = graph.constants.get(name)
            if constant is None:
                return None
            limits[i] = float(constant.reshape(()))
    return limits[0], limits[1]


def code_clamp(value: Value, limits: tuple[float, float]) -> Clamp:
    """Bounds of an activation as codes of the value that it is quantized to: rounding keeps the order."""

    def code(x: float) -> float:
        scaled = np.clip(np.float32(x) / np.float32(value.scale), -1e6, 1e6)
        return float(np.clip(np.rint(scaled) + value.zero, 0, 255))

    low, high = code(limits[0]), code(limits[1])
    return Clamp(low if low > 0 else None, high if high < 255 else None)


def real_clamp(limits: tuple[float, float]) -> Clamp:
    """Bounds of an activation on floats."""
    low, high = limits
    return Clamp(None if np.isinf(low) else low, None if np.isinf(high) else high)


def quantize_linear(reader: Reader, node: onnx.NodeProto) -> None:
    """QuantizeLinear of a float, or of codes: the same codes, or a table that requantizes them."""
    value = reader.quantizer(node)
    source = reader.integer(node.input[0])
    if source is None:
        reader.add(Quantize(node.name, (reader.real(node.input[0]),), value.name), value)
    elif (source.scale, source.zero) == (value.scale, value.zero):
        reader.same[value.name] = source.name
    else:
        reader.add(requantize(node.name, source, value), value)


def dequantize_linear(reader: Reader, node: onnx.NodeProto) -> None:
    """DequantizeLinear: its reader decides whether floats are needed."""
    name = reader.resolve(node.input[0])
    if name not in reader.values or reader.values[name].kind != "i8":
        raise Refused("its input is not quantized here")
    if reader.affine(node) != (reader.values[name].scale, reader.values[name].zero):
        raise Refused("its scale or zero point is not that of the codes it reads")
    reader.codes[node.output[0]] = name


def requantize(name: str, source: Value, target: Value) -> Table:
    """Codes of `source` to codes of `target`: dequantized and quantized in float32."""
    return Table(name, (source.name,), target.name, quantized(dequantized(source), target))


def dequantized(value: Value) -> Array:
    """The reals of all 256 codes, float32."""
    return np.asarray((np.arange(256) - value.zero).astype(np.float32) * np.float32(value.scale), np.float32)


def quantized(x: Array, value: Value) -> Array:
    """Codes of float32 reals: the arithmetic of `Quantize`."""
    scaled = x.astype(np.float32) / np.float32(value.scale)
    low, high = np.float32(-value.zero), np.float32(255 - value.zero)
    scaled = np.where(scaled > low, scaled, low)
    return np.asarray(np.rint(np.where(scaled < high, scaled, high)) + value.zero).astype(np.uint8)
