"""The ONNX graph as it grows, and the one hard matter of it: images are rows-columns-channels there, and
channels-rows-columns here.

Each tensor of four axes may stand in two layouts: PLAIN, as the file has it (N, H, W, C), or IMAGE (N, C, H, W). An
operator asks for the layout that it works in and says in which it answers; a Transpose appears only where somebody asks
for the layout that is not there, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import ModelError
from shoestring.importers.require import helper, numpy_helper
from shoestring.importers.tflite.file import File, Operator
from shoestring.importers.tflite.infer_node import dims_of, infer_node
from shoestring.importers.tflite.tensors import Tensor

Array = npt.NDArray[Any]

PLAIN, IMAGE = "plain", "image"
TO_IMAGE, TO_PLAIN = (0, 3, 1, 2), (0, 2, 3, 1)  # for Transpose
AXIS = {0: 0, 1: 2, 2: 3, 3: 1}  # an axis of PLAIN in IMAGE
IMAGE_RANK = 4


@dataclass(frozen=True)
class Pad:
    """A tensor that is another one with zeros around rows and columns, not yet written.

    Args:
        source: the tensor inside.
        pads: above, left, below, right.
    """

    source: int
    pads: tuple[int, int, int, int]


@dataclass
class Graph:
    """Nodes and weights in the making; see the head of this file.

    Args:
        names: ONNX tensors by number and layout.
        known: values of tensors that are the same in every run, as the file lays them out.
        types: type and shape of every ONNX tensor, inferred as it is written.
        shapes: of the file's tensors, from what gives them. What a file states may be a stand-in: converters write 1
            for every axis that they leave to the run, and we know them all.
        late: tensors that are written when somebody reads them.
        pads: those of them that a convolution may do itself.
    """

    file: File
    nodes: list[Any] = field(default_factory=list)
    weights: dict[str, Any] = field(default_factory=dict)
    names: dict[tuple[int, str], str] = field(default_factory=dict)
    known: dict[int, Array] = field(default_factory=dict)
    types: dict[str, Any] = field(default_factory=dict)
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    late: dict[int, Callable[[], None]] = field(default_factory=dict)
    pads: dict[int, Pad] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def tensor(self, number: int) -> Tensor:
        if number < 0:
            raise ModelError("an operator lacks an input that it needs", hint="the file is damaged")
        return self.file.tensors[number]

    def shape(self, number: int) -> tuple[int, ...]:
        """In the file's layout."""
        if number in self.known:
            return tuple(self.known[number].shape)
        return self.shapes.get(number, self.tensor(number).shape)

    def value(self, number: int) -> Array | None:
        """The values of a constant, in the file's layout; None when it depends on the input."""
        if number not in self.known:
            tensor = self.tensor(number)
            found = None if tensor.variable else tensor.values()
            if found is None:
                return None
            self.known[number] = found
        return self.known[number]

    def constant(self, operator: Operator, place: int, what: str) -> Array:
        """The values of an input that must be constant."""
        found = self.value(operator.inputs[place]) if self.has(operator, place) else None
        if found is None:
            raise operator.wrong(
                f"its {what} are computed while the model runs", hint="only constant ones can become ONNX here"
            )
        return found

    def integers(self, operator: Operator, place: int, what: str) -> list[int]:
        """The values of an input that must be a constant list of whole numbers, or a single one."""
        found = self.constant(operator, place, what)
        if found.dtype.kind not in "iu" or found.ndim > 1:
            raise operator.wrong(f"its {what} are {found.dtype} of the shape {list(found.shape)}, no whole numbers")
        return [int(number) for number in found.reshape(-1)]

    @staticmethod
    def has(operator: Operator, place: int) -> bool:
        """Whether an optional input is there."""
        return place < len(operator.inputs) and operator.inputs[place] >= 0

    def layout(self, *numbers: int) -> str:
        """IMAGE when one of these tensors stands so already, else PLAIN."""
        for number in self.late.keys() & set(numbers):
            self.late.pop(number)()
        return IMAGE if any((number, IMAGE) in self.names for number in numbers) else PLAIN

    def read(self, number: int, layout: str) -> str:
        """The ONNX tensor that holds `number` in `layout`, written now when it is not there yet.

        In IMAGE, a tensor of fewer axes gets leading ones first, as broadcasting would give it.
        """
        if (number, layout) in self.names:
            return self.names[number, layout]
        if number in self.late:
            self.late.pop(number)()
            return self.read(number, layout)
        value = self.value(number)
        name = self._constant(number, layout, value) if value is not None else self._relaid(number, layout)
        self.names[number, layout] = name
        return name

    def _constant(self, number: int, layout: str, value: Array) -> str:
        if layout == IMAGE:
            value = value.reshape((1,) * (IMAGE_RANK - value.ndim) + value.shape).transpose(TO_IMAGE)
        return self.weight(f"{number}.{layout}", value)

    def _relaid(self, number: int, layout: str) -> str:
        other = PLAIN if layout == IMAGE else IMAGE
        shape = self.shape(number)
        if (number, other) not in self.names:
            raise ModelError(
                f"{self.tensor(number).label} is read before anything gives it", hint="the file is damaged"
            )
        source = self.names[number, other]
        if layout == IMAGE and len(shape) < IMAGE_RANK:
            shape = (1,) * (IMAGE_RANK - len(shape)) + shape
            source = self.reshape(source, shape, f"{number}.raised")
        name = f"{number}.{layout}"
        if is_line(shape):  # moving an axis past axes of one value moves no value
            return self.reshape(source, image_shape(shape) if layout == IMAGE else shape, name)
        return self.node("Transpose", [source], name, perm=TO_IMAGE if layout == IMAGE else TO_PLAIN)

    def give(self, number: int, layout: str, name: str) -> None:
        """Say that `name` holds tensor `number` in `layout`, and hold what the file states about it to what it is."""
        if (number, PLAIN) in self.names or (number, IMAGE) in self.names or number in self.late:
            raise ModelError(f"{self.tensor(number).label} is given twice", hint="the file is damaged")
        self.names[number, layout] = name
        shape = dims_of(self.types[name])
        self.set_shape(number, tuple(shape[axis] for axis in TO_PLAIN) if layout == IMAGE else shape)

    def set_shape(self, number: int, shape: tuple[int, ...]) -> None:
        """Raises ModelError when the file states another shape and leaves none of it open."""
        tensor = self.tensor(number)
        if not tensor.open_axes and tensor.shape != shape:
            raise ModelError(
                f"the file states the shape {list(tensor.shape)} for {tensor.label}, but its operators give "
                f"{list(shape)}",
                hint="the file is damaged, or was resized without being converted again",
            )
        self.shapes[number] = shape

    def same(self, number: int, source: int) -> None:
        """Say that a tensor holds what another one holds."""
        value = self.value(source)
        if value is not None:
            self.know(number, value)
            return
        layout = self.layout(source)
        self.give(number, layout, self.read(source, layout))

    def know(self, number: int, value: Array) -> None:
        """Say that a tensor has the same values in every run."""
        self.set_shape(number, tuple(value.shape))
        self.known[number] = value

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node with one output, and return that output's name."""
        self.nodes_with([output], kind, inputs, **attributes)
        return output

    def nodes_with(self, outputs: list[str], kind: str, inputs: list[str], **attributes: Any) -> None:
        """Add a node with several outputs."""
        node = helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes)
        self.nodes.append(node)
        self.types.update(infer_node(node, self.types, self.weights))

    def weight(self, name: str, array: Array | np.generic) -> str:
        """Add a weight and return its name."""
        if name in self.weights:
            raise ModelError(f"two weights would be called {name!r}", hint="the file is damaged")
        tensor = numpy_helper.from_array(np.asarray(array, order="C"), name)
        self.weights[name] = tensor
        self.types[name] = helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
        return name

    def numbers(self, name: str, values: Any) -> str:
        """Add a list of int64."""
        return self.weight(name, np.asarray(values, np.int64))

    def reshape(self, source: str, shape: tuple[int, ...], output: str) -> str:
        return self.node("Reshape", [source, self.numbers(f"{output}.shape", shape)], output)


def image_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(N, H, W, C) -> (N, C, H, W)."""
    return tuple(shape[axis] for axis in TO_IMAGE)


def is_line(shape: tuple[int, ...]) -> bool:
    """Whether both layouts hold the values in one order: one channel, or one pixel."""
    return len(shape) == IMAGE_RANK and (shape[3] == 1 or shape[1] * shape[2] == 1)
