"""A program under construction: which value stands for which tensor, as codes or as reals, and where a result goes.

A float tensor behind a DequantizeLinear is not computed: it is known as the codes that it was made of (`codes`), and
becomes reals, once for all its readers, when one asks for them (`real`). Operators that move elements work on codes
and hand that knowledge on. A QuantizeLinear of codes with its own scale and zero point is then nothing at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.native.form import Array, Clamp, Dequantize, Op, Port, Quantize, Reshape, Value
from shoestring.native.front.folding import activation_affine
from shoestring.native.front.graph import Graph, Node, Shape

F = np.float32

_MOVE = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Gather")
COMMUTES = frozenset((*_MOVE, "Identity", "Dropout", "MaxPool", "GlobalMaxPool"))
"""Operators that select elements: rounding to codes before or after them is the same."""


@dataclass(frozen=True)
class Affine:
    """Scale and zero point of codes 0..255."""

    scale: float
    zero: int


@dataclass(frozen=True, eq=False)
class End:
    """Where an operator's result really goes.

    Args:
        tensor: the output of the last ReLU or Clip that alone reads it.
        low, high: bounds of those, in reals.
        absorbed: the nodes in between.
        affine: of the codes that all readers turn the tensor into; None where one wants reals.
    """

    tensor: str
    low: float | None
    high: float | None
    absorbed: tuple[Node, ...]
    affine: Affine | None

    def clamp(self) -> Clamp:
        """The bounds as the operator's output keeps them."""
        if self.affine is None:
            return Clamp(self.low, self.high)
        low = 0 if self.low is None else code_of(self.low, self.affine)
        high = 255 if self.high is None else code_of(self.high, self.affine)
        return Clamp(low if low > 0 else None, high if high < 255 else None)

    def in_reals(self) -> End:
        """The same end of an operator that makes reals whatever follows."""
        return replace(self, affine=None)


class Builder:
    """Args:
    graph: to turn into a program.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.producers = graph.producers()
        self.consumers = graph.consumers()
        self.values: dict[str, Value] = {}
        self.ops: list[Op] = []
        self.notes: list[str] = []
        self.absorbed: set[Node] = set()
        self.codes: dict[str, Value] = {}
        """Float tensor -> the codes it is the dequantized form of."""
        self.integers: dict[str, Value] = {}
        """uint8 or int8 tensor -> codes."""
        self.reals: dict[str, Value] = {}
        """Float tensor, or name of codes -> reals."""

    # Tensors of the graph

    def shape(self, tensor: str) -> Shape:
        """Raises ModelError where it is not known."""
        if tensor not in self.graph.shapes:
            raise ModelError(f"the shape of {tensor!r} is not fixed")
        return self.graph.shapes[tensor]

    def constant(self, tensor: str) -> Array | None:
        """The value of a constant tensor."""
        return self.graph.constants.get(tensor)

    def known(self, tensor: str) -> bool:
        """Whether a tensor has a value in the program, or is constant."""
        found = (self.codes, self.integers, self.reals, self.graph.constants)
        return any(tensor in names for names in found)

    def real(self, tensor: str) -> Value:
        """The float value of a tensor; makes it out of codes on first use. Raises ModelError."""
        if tensor in self.reals:
            return self.reals[tensor]
        if tensor not in self.codes:
            what = "a constant" if tensor in self.graph.constants else "no float tensor"
            raise ModelError(f"its input {tensor!r} is {what}; it must be computed from the model's input")
        codes = self.codes[tensor]
        if codes.name not in self.reals:
            made = self.new(f"{codes.name}/real", codes.shape, None)
            self.emit(Dequantize, f"{codes.name}/dequantize", (codes,), made)
            self.reals[codes.name] = made
        self.reals[tensor] = self.reals[codes.name]
        return self.reals[tensor]

    def carried(self, tensor: str) -> tuple[Value, dict[str, Value]]:
        """A tensor as cheaply as it can be had, and the map that a moved copy of it belongs to."""
        for names in (self.integers, self.codes):
            if tensor in names:
                return names[tensor], names
        return self.real(tensor), self.reals

    # Values and operators of the program

    def new(self, name: str, shape: Shape, affine: Affine | None) -> Value:
        """A value under that name, or one like it that is free: codes, or reals without an affine."""
        unique, number = name, 1
        while unique in self.values:
            number += 1
            unique = f"{name}/{number}"
        value = Value(unique, shape, "f32")
        if affine is not None:
            value = Value(unique, shape, "i8", affine.scale, affine.zero)
        self.values[unique] = value
        return value

    def like(self, value: Value, name: str, shape: Shape) -> Value:
        """A new value of the same kind and scale."""
        return self.new(name, shape, affine_of_value(value) if value.kind == "i8" else None)

    def emit(self, op_type: type[Op], name: str, inputs: Sequence[Value], output: Value, **fields: Any) -> Value:
        """Append an operator; gives its output."""
        self.ops.append(op_type(name, tuple(value.name for value in inputs), output.name, **fields))
        return output

    def moved(self, node: Node, op_type: type[Op], **fields: Any) -> None:
        """A node that moves the elements of its first input to its first output."""
        source, names = self.carried(node.inputs[0])
        out = self.like(source, node.outputs[0], self.shape(node.outputs[0]))
        names[node.outputs[0]] = self.emit(op_type, node.name, (source,), out, **fields)

    def reshaped(self, value: Value, name: str, shape: Shape) -> Value:
        """The same elements under another shape, or the value itself."""
        if value.shape == shape:
            return value
        return self.emit(Reshape, name, (value,), self.like(value, name, shape))

    def alias(self, tensor: str, source: str) -> None:
        """Two names of one tensor."""
        value, names = self.carried(source)
        names[tensor] = value

    # Where results go

    def end(self, tensor: str) -> End:
        """Follow a result through the ReLUs and Clips that alone read it, and see whether all readers want codes."""
        low: float | None = None
        high: float | None = None
        absorbed: list[Node] = []
        while True:
            reader = self.sole_reader(tensor)
            bounds = None if reader is None else self.bounds(reader)
            if reader is None or bounds is None:
                break
            low, high = _narrowed(low, high, *bounds)
            absorbed.append(reader)
            tensor = reader.outputs[0]
        return End(tensor, low, high, tuple(absorbed), self.affine(tensor))

    def finish(self, end: End, value: Value) -> None:
        """Enter the value that an operator has made for its end."""
        self.absorbed.update(end.absorbed)
        (self.reals if end.affine is None else self.codes)[end.tensor] = value

    def sole_reader(self, tensor: str) -> Node | None:
        """The one node that reads the tensor, and reads it once."""
        readers = self.consumers.get(tensor, [])
        return readers[0] if len(readers) == 1 and tensor not in self.graph.outputs else None

    def bounds(self, node: Node) -> tuple[float | None, float | None] | None:
        """What a ReLU or a Clip with constant bounds clamps to; None for every other node."""
        if node.op_type == "Relu":
            return 0.0, None
        if node.op_type != "Clip":
            return None
        found: list[float | None] = []
        for place in (1, 2):
            name = node.input(place)
            value = self.constant(name)
            if name and (value is None or value.size != 1 or np.isnan(value.reshape(-1)[0])):
                return None
            bound = None if value is None else float(value.reshape(-1)[0])
            found.append(None if bound is not None and np.isinf(bound) else bound)
        return found[0], found[1]

    def affine(self, tensor: str) -> Affine | None:
        """Of the QuantizeLinear nodes that all readers of a tensor are, or lead to by moving elements only."""
        found: set[Affine] = set()
        left, seen = [tensor], {tensor}
        while left:
            name = left.pop()
            readers = self.consumers.get(name, [])
            if not readers or name in self.graph.outputs:
                return None
            for reader in readers:
                if reader.op_type == "QuantizeLinear" and reader.inputs[0] == name:
                    found.add(self.affine_of_node(reader))
                elif reader.op_type in COMMUTES and reader.inputs[0] == name:
                    outputs = [output for output in reader.outputs if output and output not in seen]
                    left += outputs
                    seen.update(outputs)
                else:
                    return None
        return found.pop() if len(found) == 1 else None

    def affine_of_node(self, node: Node) -> Affine:
        """Scale and zero point of a QuantizeLinear or DequantizeLinear of activations.

        Raises:
            ModelError: not constant, for channels, or of another type than uint8 and int8.
        """
        return Affine(*activation_affine(node, self.constant, self.graph.dtypes, len(self.shape(node.inputs[0]))))

    def quantize(self, name: str, source: Value, tensor: str, affine: Affine) -> Value:
        """Codes of a float value."""
        return self.emit(Quantize, name, (source,), self.new(tensor, source.shape, affine))

    def port(self, tensor: str, value: Value) -> Port:
        """A port for a graph input or output."""
        dtype = "float32" if value.kind == "f32" else self.graph.dtypes[tensor]
        return Port(tensor, value.name, dtype, tensor in self.graph.free_batch)


def affine_of_value(value: Value) -> Affine:
    return Affine(value.scale, value.zero)


def code_of(real: float, affine: Affine) -> int:
    """The code of a real number, as Quantize makes it."""
    step = float(np.rint(F(real) / F(affine.scale)))
    return int(np.clip(step + affine.zero, 0, 255))


def requantized(value: Value, affine: Affine) -> Array:
    """Table from the codes of a value to codes of another scale: Dequantize, then Quantize."""
    reals = np.arange(-value.zero, 256 - value.zero).astype(F) * F(value.scale)
    with np.errstate(over="ignore"):
        steps = np.rint(reals / F(affine.scale)).astype(np.float64)
    return np.asarray(np.clip(steps + affine.zero, 0, 255), dtype=np.uint8)


def _narrowed(
    low: float | None, high: float | None, new_low: float | None, new_high: float | None
) -> tuple[float | None, float | None]:
    """Bounds after a further clamp: first below, then above, as Clip does where its minimum is above its maximum."""
    if new_low is not None:
        low = new_low if low is None else max(low, new_low)
        high = None if high is None else max(high, new_low)
    if new_high is not None:
        high = new_high if high is None else min(high, new_high)
        low = None if low is None else min(low, new_high)
    return low, high
