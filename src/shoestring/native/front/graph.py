"""An ONNX graph as the front reads it: plain nouns, constants in numpy, every shape static."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shoestring.native.form import Array

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Node:
    """An operator.

    Args:
        op_type: with its domain in front where that is not ONNX's own, like `com.microsoft.Gelu`.
        name: of the node, or of its first output where it has none.
        inputs, outputs: tensor names, empty where one is left out.
        attributes: numbers, strings, tuples and arrays by name.
    """

    op_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    def input(self, place: int) -> str:
        """Name of an input, empty where there is none."""
        return self.inputs[place] if place < len(self.inputs) else ""

    def __str__(self) -> str:
        return f"{self.op_type} {self.name!r}"


@dataclass(frozen=True, eq=False)
class Quantized:
    """How a constant was written: real = scale * (codes - zero).

    Args:
        codes: uint8, int8 or int32.
        scale: float32 (), or (n,) along `axis`.
        zero: whole numbers of the scale's shape.
        axis: of a scale for each channel, not negative; None for one scale.
    """

    codes: Array
    scale: Array
    zero: Array
    axis: int | None


@dataclass(frozen=True, eq=False)
class Graph:
    """Args:
    nodes: live ones in order; none has constant inputs only.
    constants: by tensor name, dequantized ones included.
    quantized: how dequantized constants were written.
    shapes: of tensors; one whose shape cannot be told is missing.
    dtypes: numpy names.
    inputs, outputs: tensor names.
    free_batch: names of the inputs and outputs whose first axis the file leaves free.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, Array]
    quantized: dict[str, Quantized]
    shapes: dict[str, Shape]
    dtypes: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    free_batch: frozenset[str]
    opset: int

    def producers(self) -> dict[str, Node]:
        """The node that makes each tensor."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    def consumers(self) -> dict[str, list[Node]]:
        """The nodes that read each tensor, one entry for each reading."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                found.setdefault(name, []).append(node)
        return found
