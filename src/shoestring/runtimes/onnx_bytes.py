"""A look into an ONNX file's bytes without the package onnx, which a device does not have.

ONNX is a protocol buffer (https://protobuf.dev/programming-guides/encoding/); the field numbers are those of
https://github.com/onnx/onnx/blob/v1.17.0/onnx/onnx.proto. Only what adapters ask for is read: the names of the graph's
ends, its operators and types, and tensors whose values lie in other files, wherever a tensor may stand.
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
_GRAPH_WEIGHT, _GRAPH_INPUT, _GRAPH_OUTPUT, _VALUE_NAME, _NODE_OPERATOR = 5, 11, 12, 1, 4
_TENSOR_TYPE, _TENSOR_NAME, _TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 2, 8, 13, 14


@dataclass
class OnnxFacts:
    """What was found.

    Args:
        inputs: names of the main graph's inputs, in order; without those that have a value in the file.
        outputs: names of its outputs, in order.
        weights: names of the values that the main graph holds.
        external: names of tensors whose values lie outside the file.
        operators: types of all operators, those of inner graphs included.
        types: numbers of the element types (TensorProto.DataType) of all tensors that the file holds.
    """

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)
    external: list[str] = field(default_factory=list)
    operators: set[str] = field(default_factory=set)
    types: set[int] = field(default_factory=set)


def read_facts(data: bytes) -> OnnxFacts:
    """What adapters ask for. Raises EngineError when the bytes are no ONNX model."""
    facts = OnnxFacts()
    try:
        _walk(memoryview(data), "model", facts, 0)
    except (ValueError, IndexError, RecursionError):
        raise EngineError("the bytes are no ONNX model, or it is cut short") from None
    if not facts.outputs:
        raise EngineError("the bytes are no ONNX model, or one without outputs")
    held = set(facts.weights)
    # Before version 4 of the format weights were listed among the inputs.
    facts.inputs = [name for name in facts.inputs if name not in held]
    return facts


def _walk(message: memoryview, kind: str, facts: OnnxFacts, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    inner = _INNER[kind]
    for number, value in _fields(message):
        if isinstance(value, int):
            continue
        if number in inner:
            _walk(value, inner[number], facts, depth + 1)
        elif kind == "graph" and depth == 1 and number in (_GRAPH_INPUT, _GRAPH_OUTPUT):
            (facts.inputs if number == _GRAPH_INPUT else facts.outputs).append(_name(value, _VALUE_NAME))
        elif kind == "node" and number == _NODE_OPERATOR:
            facts.operators.add(_text(value))
    if kind == "graph" and depth == 1:
        for number, value in _fields(message):
            if number == _GRAPH_WEIGHT and not isinstance(value, int):
                facts.weights.append(_name(value, _TENSOR_NAME))
    elif kind == "tensor":
        _look_at_tensor(message, facts)


def _look_at_tensor(message: memoryview, facts: OnnxFacts) -> None:
    elsewhere = False
    for number, value in _fields(message):
        if number == _TENSOR_TYPE and isinstance(value, int):
            facts.types.add(value)
        elsewhere = elsewhere or number == _TENSOR_EXTERNAL_DATA
        elsewhere = elsewhere or (number == _TENSOR_DATA_LOCATION and value == _EXTERNAL)
    if elsewhere:
        facts.external.append(_name(message, _TENSOR_NAME))


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


FLOAT16 = 10
"""In `OnnxFacts.types`."""

__all__ = ["FLOAT16", "OnnxFacts", "read_facts"]
