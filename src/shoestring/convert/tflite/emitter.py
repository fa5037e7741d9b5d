"""A program on its way into a TFLite file: where each value lies, and copies in another order where one is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from shoestring.convert.tflite.flat import Flat, Scales
from shoestring.convert.tflite.layout import Layout, in_order, laid, plain, same_memory, steps
from shoestring.native.form import Array, Op, Program, Value

SHIFT = 128
"""From our codes 0..255 to TFLite's int8."""


class Emitter:
    """Args:
    program: to write.
    scales: of weights, float32 for each output channel, by the name of their operator.
    half: floats of weights are stored as float16.
    integer: what reads and makes codes is done by int8 operators alone.
    """

    def __init__(
        self, program: Program, scales: Mapping[str, Array], half: bool = False, integer: bool = False
    ) -> None:
        self.program, self.flat, self.weight_scales = program, Flat(), scales
        self.half, self.integer = half, integer
        self.notes: list[str] = []
        self._makers = {op.output: op for op in program.ops}
        self._places: dict[str, tuple[int, Layout]] = {}
        self._copies: dict[tuple[str, Layout], int] = {}

    def value(self, name: str) -> Value:
        return self.program.values[name]

    def source(self, op: Op, place: int = 0) -> Value:
        """The value that an operator reads."""
        return self.program.values[op.inputs[place]]

    def result(self, op: Op) -> Value:
        """The value that an operator makes."""
        return self.program.values[op.output]

    def maker(self, name: str) -> Op | None:
        """The operator that makes a value; None for an input."""
        return self._makers.get(name)

    # Where values lie

    def layout(self, name: str) -> Layout:
        """The order in which a value was made."""
        return self._places[name][1]

    def place(self, name: str, tensor: int, layout: Layout) -> None:
        """Enter the tensor that holds a value."""
        self._places[name] = (tensor, layout)
        self._copies[name, layout] = tensor

    def tensor(self, name: str, layout: Layout) -> int:
        """The tensor of a value in some order; made by a TRANSPOSE on first use where it lies otherwise."""
        if (name, layout) in self._copies:
            return self._copies[name, layout]
        value, (source, have) = self.value(name), self._places[name]
        shape = laid(value.shape, layout)
        if same_memory(value.shape, have, layout):
            made = source if shape == laid(value.shape, have) else self.reshape(source, value, shape)
        else:
            made = self.flat.tensor(f"{name}/turned", shape, *self.kind(value))
            order = self.flat.plain(steps(have, layout), "int32", "order")
            self.flat.operator("TRANSPOSE", (source, order), made, options="Transpose", int8=value.kind == "i8")
        self._copies[name, layout] = made
        return made

    def own(self, name: str) -> int:
        """The tensor of a value in the order in which it was made."""
        return self._places[name][0]

    def widened(self, name: str, layout: Layout) -> int:
        """A value of perhaps fewer axes in an order of more: leading axes of one element are added."""
        value = self.value(name)
        missing = len(layout) - len(value.shape)
        if missing == 0:
            return self.tensor(name, layout)
        full = (1,) * missing + value.shape
        source = self.tensor(name, plain(len(value.shape)))
        if same_memory(full, plain(len(full)), layout):
            return self.reshape(source, value, laid(full, layout))
        source = self.reshape(source, value, full)
        made = self.flat.tensor(f"{name}/turned", laid(full, layout), *self.kind(value))
        order = self.flat.plain(layout, "int32", "order")
        return self.flat.operator("TRANSPOSE", (source, order), made, options="Transpose", int8=value.kind == "i8")

    # New tensors

    def new(self, name: str, layout: Layout) -> int:
        """The tensor that will hold a value, entered as its place."""
        value = self.value(name)
        made = self.flat.tensor(name, laid(value.shape, layout), *self.kind(value))
        self.place(name, made, layout)
        return made

    def like(self, value: Value, name: str, shape: Sequence[int]) -> int:
        """A tensor of a value's type and scale, for something in between."""
        return self.flat.tensor(name, shape, *self.kind(value))

    def codes(self, name: str, shape: Sequence[int], scale: float, zero: int) -> int:
        """An int8 tensor for something in between; `zero` is a code 0..255."""
        return self.flat.tensor(name, shape, "int8", scales_of(scale, zero))

    def reshape(self, source: int, value: Value, shape: Sequence[int]) -> int:
        """The same elements of a tensor of a value's type under another shape."""
        made = self.flat.tensor(f"{value.name}/shape", shape, *self.kind(value))
        sides = self.flat.plain(list(shape), "int32", "sides")
        return self.flat.operator(
            "RESHAPE", (source, sides), made, options="Reshape", int8=value.kind == "i8", newShape=list(shape)
        )

    def kind(self, value: Value) -> tuple[str, Scales | None]:
        """Type and scale of a value as a tensor has them."""
        if value.kind == "i8":
            return "int8", scales_of(value.scale, value.zero)
        return "float32", None

    def real(self, value: Value, tensor: int) -> int:
        """The floats of a tensor of a value's codes."""
        made = self.flat.tensor(f"{value.name}/real", self.flat.shape(tensor), "float32")
        return self.flat.operator("DEQUANTIZE", (tensor,), made, options="Dequantize", int8=True)

    def floats(self, name: str, data: Array) -> int:
        """A constant of floats, in half precision behind a DEQUANTIZE where the file stores halves."""
        array = np.ascontiguousarray(data, np.float32)
        if not self.half or array.size < 2:
            return self.flat.tensor(name, array.shape, "float32", data=array)
        small = self.flat.tensor(f"{name}/half", array.shape, "float16", data=_half(array))
        made = self.flat.tensor(name, array.shape, "float32")
        return self.flat.operator("DEQUANTIZE", (small,), made, options="Dequantize", version=3)

    def constant(self, array: Array, value: Value, layout: Layout, scale: float = 1.0, zero: int = 0) -> int:
        """A constant of floats, or of codes 0..255, that stands beside `value`, in the order of a layout."""
        turned = in_order(np.asarray(array), layout)
        if value.kind == "f32":
            return self.flat.tensor("constant", turned.shape, "float32", data=turned)
        shifted = turned.astype(np.int16) - SHIFT
        return self.flat.tensor("constant", turned.shape, "int8", scales_of(scale, zero), data=shifted)


def scales_of(scale: float, zero: int) -> Scales:
    """Of codes whose zero is `zero` of 0..255."""
    return Scales(np.array([scale], np.float32), np.array([zero - SHIFT]))


def _half(array: Array) -> Array:
    """Nearest float16, the largest one where a number is beyond."""
    largest = float(np.finfo(np.float16).max)
    return np.clip(array, -largest, largest).astype(np.float16)
