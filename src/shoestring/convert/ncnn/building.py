"""A network under construction: which blob stands for which tensor, and where codes are.

A blob has no batch: the first axis of a tensor, which is 1, is left out. Where an axis more than ncnn's four would be
needed, the blob holds the elements in one row.

A QuantizeLinear is no layer. It says that its tensor lies on a grid of 256 codes; layers with 8-bit weights behind it
read the codes (`codes`), all others read the reals, clamped to the range of the grid (`real`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.convert.ncnn.grids import Grid
from shoestring.convert.ncnn.layers import Layer, Param, Weight
from shoestring.native.form import Array
from shoestring.native.front.graph import Graph, Node, Shape

MOST_AXES = 4  # of ncnn's Mat
_AWKWARD = re.compile(r"[^A-Za-z0-9_.]")
_NAME_CHARACTERS = 60  # ncnn reads at most 255
ADD, SUB, MUL, DIV, MAX, MIN, POW, RSUB, RDIV, RPOW = range(10)
"""BinaryOp's operations; those with R take the scalar first."""


@dataclass(frozen=True)
class Blob:
    """What a layer makes.

    Args:
        name: in the text.
        dims: axes, outermost first: channels, (depth,) rows, columns.
        low, high: between which all its elements are known to lie.
    """

    name: str
    dims: Shape
    low: float = -math.inf
    high: float = math.inf


@dataclass
class OnGrid:
    """A tensor that lies on a grid.

    Args:
        grid: its codes.
        source: the reals before rounding; None where the layer before it makes codes.
        codes, clamped: made on first use.
    """

    grid: Grid
    source: Blob | None
    codes: Blob | None = None
    clamped: Blob | None = None


@dataclass
class Builder:
    """Args:
    graph: to turn into a network.
    quantized: whether 8-bit weights make 8-bit layers.
    """

    graph: Graph
    quantized: bool
    layers: list[Layer] = field(default_factory=list)
    reals: dict[str, Blob] = field(default_factory=dict)
    on_grid: dict[str, OnGrid] = field(default_factory=dict)
    absorbed: set[Node] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.producers = self.graph.producers()
        self.readers = self.graph.consumers()
        self._blobs = 0
        self._names: set[str] = set()

    # Tensors of the graph

    def shape(self, tensor: str) -> Shape:
        """Raises ModelError where it is not known."""
        if tensor not in self.graph.shapes:
            raise ModelError(f"the shape of {tensor!r} is not fixed")
        return self.graph.shapes[tensor]

    def constant(self, tensor: str) -> Array | None:
        return self.graph.constants.get(tensor)

    def numbers(self, node: Node, place: int, what: str) -> list[float] | None:
        """A constant input as a list, None where it is left out. Raises ModelError where it is computed."""
        name = node.input(place)
        if not name:
            return None
        value = self.constant(name)
        if value is None:
            raise ModelError(f"its {what} are computed; they must be constant")
        return [float(n) for n in value.reshape(-1)]

    def whole(self, node: Node, place: int, what: str) -> list[int] | None:
        found = self.numbers(node, place, what)
        return None if found is None else [int(n) for n in found]

    def known(self, tensor: str) -> bool:
        return tensor in self.reals or tensor in self.on_grid or tensor in self.graph.constants

    def real(self, tensor: str) -> Blob:
        """The blob of a float tensor. Raises ModelError for a tensor of integers."""
        if tensor in self.reals:
            return self.reals[tensor]
        if tensor in self.on_grid:
            found = self.on_grid[tensor]
            if found.clamped is None:
                found.clamped = self._clamped(found)
            return found.clamped
        value = self.constant(tensor)
        if value is None or value.dtype != np.float32:
            raise ModelError(f"its input {tensor!r} is {self.graph.dtypes.get(tensor, 'unknown')}; it must be float32")
        self.reals[tensor] = self.memory(tensor, value, canonical(value.shape))
        return self.reals[tensor]

    def _clamped(self, found: OnGrid) -> Blob:
        if found.source is None:
            raise ModelError("its input exists as codes only")
        return self.clamp(found.source, found.grid.low, found.grid.high)

    def clamp(self, source: Blob, low: float, high: float) -> Blob:
        """The blob within bounds; itself where it is known to lie there."""
        if source.low >= low and source.high <= high:
            return source
        low, high = max(low, -FLOAT_MAX), min(high, FLOAT_MAX)
        return self.emit("Clip", f"{source.name}_clip", [source], source.dims, {0: low, 1: high}, bounds=(low, high))

    def codes(self, tensor: str) -> Blob:
        """The codes of a tensor on a grid, as ncnn's signed bytes."""
        found = self.on_grid[tensor]
        if found.codes is None:
            if found.source is None:
                raise ModelError(f"{tensor!r} has neither codes nor reals")
            found.codes = self._quantized(found.source, found.grid)
        return found.codes

    def _quantized(self, source: Blob, grid: Grid) -> Blob:
        shift = grid.shift
        if grid.sign < 0:
            source = self.emit("BinaryOp", f"{source.name}_turn", [source], source.dims, {0: RSUB, 1: 1, 2: -shift})
        elif shift:
            source = self.emit("BinaryOp", f"{source.name}_shift", [source], source.dims, {0: ADD, 1: 1, 2: shift})
        scale = Weight(np.array([1 / grid.scale], np.float32))
        return self.emit("Quantize", f"{source.name}_codes", [source], source.dims, {0: 1}, (scale,))

    # Layers of the network

    def emit(
        self,
        kind: str,
        name: str,
        bottoms: Sequence[Blob],
        dims: Shape,
        params: dict[int, Param] | None = None,
        weights: tuple[Weight, ...] = (),
        bounds: tuple[float, float] = (-math.inf, math.inf),
    ) -> Blob:
        """Append a layer with one top; gives that."""
        top = Blob(f"b{self._blobs}", dims, *bounds)
        self._blobs += 1
        inputs = tuple(blob.name for blob in bottoms)
        self.layers.append(Layer(kind, self._unique(name), inputs, (top.name,), params or {}, weights))
        return top

    def _unique(self, name: str) -> str:
        plain = _AWKWARD.sub("_", name)[-_NAME_CHARACTERS:] or "layer"
        unique, number = plain, 1
        while unique in self._names:
            number += 1
            unique = f"{plain}_{number}"
        self._names.add(unique)
        return unique

    def memory(self, name: str, value: Array, dims: Shape) -> Blob:
        """A constant as a blob."""
        data = Weight(np.ascontiguousarray(value, dtype=np.float32).reshape(-1))
        return self.emit("MemoryData", name, [], dims, sides(dims, zero=True), (data,))

    def reshaped(self, blob: Blob, dims: Shape, name: str = "") -> Blob:
        """The same elements under other axes."""
        if blob.dims == dims:
            return blob
        bounds = (blob.low, blob.high)
        return self.emit("Reshape", name or f"{blob.name}_shape", [blob], dims, sides(dims), bounds=bounds)

    def enter(self, tensor: str, blob: Blob) -> None:
        """The blob that a float tensor is, under its own axes."""
        self.reals[tensor] = self.reshaped(blob, canonical(self.shape(tensor)))

    def sole_reader(self, tensor: str) -> Node | None:
        """The one node that reads the tensor, and reads it once."""
        found = self.readers.get(tensor, [])
        return found[0] if len(found) == 1 and tensor not in self.graph.outputs else None


FLOAT_MAX = float(np.finfo(np.float32).max)


def lead(shape: Shape) -> int:
    """1 where the first axis of a tensor is left out of its blob."""
    return 1 if len(shape) > 1 and shape[0] == 1 else 0


def canonical(shape: Shape) -> Shape:
    """Axes of the blob of a tensor."""
    dims = shape[lead(shape) :] or (1,)
    return dims if len(dims) <= MOST_AXES else (math.prod(dims),)


_KEYS = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}
"""Parameters of Input, MemoryData and Reshape that hold the axes, outermost first, by their number."""


def sides(dims: Shape, *, zero: bool = False) -> dict[int, Param]:
    """Axes as parameters 0 (columns), 1 (rows), 11 (depth) and 2 (channels); absent ones are ncnn's default."""
    return dict(zip(_KEYS[len(dims)], dims, strict=True))
