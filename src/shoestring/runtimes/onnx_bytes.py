"""A look into an ONNX file's bytes without the package onnx, which a device does not have.

ONNX is a protocol buffer (https://protobuf.dev/programming-guides/encoding/); the field numbers are those of
https://github.com/onnx/onnx/blob/v1.17.0/onnx/onnx.proto. Only what adapters ask for is read: the names of the graph's
ends, and tensors whose values lie in other files, wherever a tensor may stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shoestring.base.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 64  # a graph inside a node inside a graph; protobuf itself stops at 100 messages
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_EXTERNAL = 1  # TensorProto.DataLocation

# For each message the fields that hold messages of interest, and which.
_INNER = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_GRAPH_INPUT, _GRAPH_OUTPUT, _VALUE_NAME = 11, 12, 1
_TENSOR_NAME, _TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 8, 13, 14


@dataclass
class OnnxEnds:
    """What was found.

    Args:
        inputs: names of the main graph's inputs, in order; without those that have a value in the file.
        outputs: names of its outputs, in order.
        weights: names of the values that the main graph holds.
        external: names of tensors whose values lie outside the file.
    """

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)
    external: list[str] = field(default_factory=list)


def read_ends(data: bytes) -> OnnxEnds:
    """Names of the ends, and of tensors kept elsewhere. Raises EngineError when the bytes are no ONNX model."""
    ends = OnnxEnds()
    try:
        _walk(memoryview(data), "model", ends, 0)
    except (ValueError, IndexError, RecursionError):
        raise EngineError("the bytes are no ONNX model, or it is cut short") from None
    if not ends.outputs:
        raise EngineError("the bytes are no ONNX model, or one without outputs")
    held = set(ends.weights)
    ends.inputs = [
        name for name in ends.inputs if name not in held
    ]  # before IR version 4 weights were listed as inputs
    return ends


def _walk(message: memoryview, kind: str, ends: OnnxEnds, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    inner = _INNER[kind]
    name, elsewhere = "", False
    for number, value in _fields(message):
        if isinstance(value, int):
            elsewhere = elsewhere or (kind == "tensor" and number == _TENSOR_DATA_LOCATION and value == _EXTERNAL)
        elif number in inner:
            _walk(value, inner[number], ends, depth + 1)
            if depth == 1 and kind == "graph" and inner[number] == "tensor":
                ends.weights.append(_name(value, _TENSOR_NAME))
        elif kind == "graph" and depth == 1 and number in (_GRAPH_INPUT, _GRAPH_OUTPUT):
            (ends.inputs if number == _GRAPH_INPUT else ends.outputs).append(_name(value, _VALUE_NAME))
        elif kind == "tensor" and number == _TENSOR_NAME:
            name = _text(value)
        elif kind == "tensor" and number == _TENSOR_EXTERNAL_DATA:
            elsewhere = True
    if elsewhere:
        ends.external.append(name)


def _name(message: memoryview, field_number: int) -> str:
    name = ""
    for number, value in _fields(message):
        if number == field_number and not isinstance(value, int):
            name = _text(value)
    return name


def _text(value: memoryview) -> str:
    return bytes(value).decode()  # UnicodeDecodeError is a ValueError


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field; numbers of a fixed width are passed over as 0."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, wire = key >> 3, key & 7
        value: int | memoryview = 0
        if wire == _VARINT:
            value, place = _varint(message, place)
        elif wire == _LENGTH:
            length, place = _varint(message, place)
            value, place = message[place : place + length], place + length
        elif wire in (_FIXED32, _FIXED64):
            place += 4 if wire == _FIXED32 else 8
        else:
            raise ValueError("groups are not part of ONNX")
        if place > len(message) or number == 0:
            raise ValueError("cut short")
        yield number, value


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number of more than 10 bytes")


__all__ = ["OnnxEnds", "read_ends"]
