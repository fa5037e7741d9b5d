"""Rules of layers that move elements: shapes, orders, parts, sides, sizes. See `ncnn_rules`."""

from __future__ import annotations

import math
from itertools import permutations

from shoestring.runtimes.ncnn_reader import Made, Reader, Rule, axes_of


def _reshape(reader: Reader) -> Made:
    source, dims = reader.one(), axes_of(reader)
    if math.prod(source.dims) != math.prod(dims):
        raise reader.wrong(f"{source.dims} and {dims} have not the same number of elements")
    return [reader.shape(dims)], []


def _permute(reader: Reader) -> Made:
    source = reader.one(2, 3, 4)
    rank = len(source.dims)
    orders = list(permutations(range(rank)))
    order = orders[reader.whole(0, 0, 0, len(orders) - 1)]
    return [reader.shape(tuple(source.dims[axis] for axis in order))], []


def _concat(reader: Reader) -> Made:
    dims = [blob.dims for blob in reader.bottoms]
    if not dims or any(blob.codes for blob in reader.bottoms):
        raise reader.wrong("it must read blobs of floats")
    axis = reader.whole(0, 0, 0, len(dims[0]) - 1)
    others = {(*one[:axis], *one[axis + 1 :]) if len(one) == len(dims[0]) else None for one in dims}
    if len(others) != 1:
        raise reader.wrong(f"{dims} do not lie side by side along axis {axis}")
    total = sum(one[axis] for one in dims)
    return [reader.shape((*dims[0][:axis], total, *dims[0][axis + 1 :]))], []


def _crop(reader: Reader) -> Made:
    source = reader.one()
    starts, stops, axes = (reader.array(key) for key in (9, 10, 11))
    numbers = (*starts, *stops, *axes)
    if [len(starts), len(stops), len(axes)] != [1, 1, 1] or not all(isinstance(n, int) for n in numbers):
        raise reader.wrong("it must cut one axis")
    start, stop, axis = (int(n) for n in numbers)
    if not 0 <= axis < len(source.dims) or not 0 <= start < stop <= source.dims[axis]:
        raise reader.wrong(f"it cuts {start}..{stop} of axis {axis} of {source.dims}")
    return [reader.shape((*source.dims[:axis], stop - start, *source.dims[axis + 1 :]))], []


def _padding(reader: Reader) -> Made:
    source = reader.one(1, 2, 3)
    kind = reader.whole(4, 0, 0, 2)
    reader.real(5)
    pads = [(reader.whole(a, 0), reader.whole(b, 0)) for a, b in ((7, 8), (0, 1), (2, 3))]
    rank = len(source.dims)
    if any(any(both) for both in pads[: 3 - rank]):
        raise reader.wrong(f"it pads axes that {source.dims} does not have")
    used = pads[3 - rank :]
    if kind == 2 and any(max(both) >= n for n, both in zip(source.dims, used, strict=True)):
        raise reader.wrong(f"it reflects more than there is: {used} of {source.dims}")
    return [reader.shape(tuple(n + sum(both) for n, both in zip(source.dims, used, strict=True)))], []


def _interp(reader: Reader) -> Made:
    source = reader.one(3)
    kind = reader.whole(0, 0, 1, 2)
    reader.whole(6, 0, 0, 1)
    sides = reader.whole(3, 0, 1), reader.whole(4, 0, 1)
    if kind == 2 and min(*source.dims[1:], *sides) < 2:
        raise reader.wrong(f"linear from {source.dims} to {sides} needs sides of 2 or more")
    return [reader.shape((source.dims[0], *sides))], []


def _pixel_shuffle(reader: Reader) -> Made:
    source = reader.one(3)
    factor = reader.whole(0, 1, 1)
    reader.whole(1, 0, 0, 1)
    channels, height, width = source.dims
    if channels % (factor * factor):
        raise reader.wrong(f"{channels} channels do not make blocks of {factor} x {factor}")
    return [reader.shape((channels // (factor * factor), height * factor, width * factor))], []


MOVES: dict[str, Rule] = {
    "Reshape": _reshape,
    "Permute": _permute,
    "Concat": _concat,
    "Crop": _crop,
    "Padding": _padding,
    "Interp": _interp,
    "PixelShuffle": _pixel_shuffle,
}
