"""A layer of an ncnn network and the blobs it reads, with words for what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from shoestring.base.errors import EngineError
from shoestring.base.limits import MAX_NCNN_BLOB_BYTES, MAX_NCNN_SIDE
from shoestring.runtimes.ncnn_text import Number, TextLayer

_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Shape:
    """A blob: axes, outermost first, and whether its elements are bytes of codes."""

    dims: tuple[int, ...]
    codes: bool = False


@dataclass(frozen=True)
class Wanted:
    """Weights that a layer reads: how many numbers; `tagged` as for the first of a layer, `codes` if they are bytes."""

    count: int
    tagged: bool = False
    codes: bool = False


Made = tuple[list[Shape], list[Wanted]]
Rule = Callable[["Reader"], Made]


class Reader:
    """A layer's parameters, checked as they are read.

    Args:
        layer: of the text.
        bottoms: what it reads.
    """

    def __init__(self, layer: TextLayer, bottoms: list[Shape]) -> None:
        self.layer, self.bottoms = layer, bottoms
        self._seen: set[int] = set()

    def whole(self, key: int, default: int, low: int = 0, high: int = MAX_NCNN_SIDE) -> int:
        self._seen.add(key)
        value = self.layer.params.get(key, default)
        if not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(f"parameter {key} is {value}; it must be a whole number in {low}..{high}")
        return value

    def real(self, key: int) -> None:
        self._seen.add(key)
        if not isinstance(self.layer.params.get(key, 0.0), int | float):
            raise self.wrong(f"parameter {key} must be a number")

    def array(self, key: int) -> tuple[Number, ...]:
        self._seen.add(key)
        value = self.layer.params.get(key, ())
        if not isinstance(value, tuple):
            raise self.wrong(f"parameter {key} must be an array")
        return value

    def close(self) -> None:
        """Refuse parameters that no rule has read: they may make a layer do something else."""
        unknown = sorted(set(self.layer.params) - self._seen)
        if unknown:
            raise self.wrong(f"parameters {unknown} are not known here")

    def one(self, *ranks: int, codes: bool = False) -> Shape:
        """The only blob read, of floats unless `codes` are taken too, with one of those numbers of axes."""
        if len(self.bottoms) != 1:
            raise self.wrong(f"it reads {len(self.bottoms)} blobs; it must read one")
        found = self.bottoms[0]
        if found.codes and not codes:
            raise self.wrong("it reads codes; it must read floats")
        if ranks and len(found.dims) not in ranks:
            raise self.wrong(f"it reads a blob of {len(found.dims)} axes; it must have {ranks}")
        return found

    def wrong(self, why: str) -> EngineError:
        return EngineError(f"layer {self.layer.name!r} ({self.layer.kind}) of the network: {why}")

    def shape(self, dims: tuple[int, ...], *, codes: bool = False) -> Shape:
        """A blob that is made. Raises EngineError for an axis below 1, or too many elements."""
        if min(dims) < 1 or math.prod(dims) * _FLOAT_BYTES > MAX_NCNN_BLOB_BYTES:
            raise self.wrong(f"it would make a blob of {dims}; axes are 1 or more, {MAX_NCNN_BLOB_BYTES} bytes at most")
        return Shape(dims, codes)


def axes_of(reader: Reader) -> tuple[int, ...]:
    """Axes from parameters 0 (w), 1 (h), 11 (d), 2 (c)."""
    given = [key for key in (2, 11, 1, 0) if key in reader.layer.params]
    if given not in ([0], [1, 0], [2, 1, 0], [2, 11, 1, 0]):
        raise reader.wrong(f"its axes are given as parameters {given}")
    return tuple(reader.whole(key, 0, 1) for key in given)
