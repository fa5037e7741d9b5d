"""Weights stored without their zeros.

The axes of a tensor, and of the blocks inside it, are stored one after the other: each either whole, or as the indices
that are there (compressed rows). Schema: SparsityParameters; order of the values as in
tensorflow/lite/kernels/internal/utils/sparsity_format_converter.cc of github.com/tensorflow/tensorflow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import ModelError
from shoestring.importers.tflite.schema import schema

Array = npt.NDArray[Any]

_SPARSE = 1  # DimensionType.SPARSE_CSR
_MAX_AXES = 16
_DAMAGED = "the file is damaged; convert the model again"


@dataclass(frozen=True)
class Level:
    """One axis as it is stored.

    Args:
        size: of an axis that is stored whole; 0 for one that is not.
        segments, indices: of one that is not: where the indices of each outer entry begin and end, and they themselves.
    """

    size: int
    segments: Array
    indices: Array


@dataclass(frozen=True)
class Sparsity:
    """How a tensor is stored.

    Args:
        order: which axis each level is; numbers from the rank on are axes of blocks.
        blocks: the axis of the tensor that each axis of blocks divides.
        levels: outer ones first.
    """

    order: tuple[int, ...]
    blocks: tuple[int, ...]
    levels: tuple[Level, ...]


def read_sparsity(found: Any, rank: int, label: str) -> Sparsity | None:
    """What the file says about a tensor's storage; None when it is stored whole."""
    if found is None:
        return None
    order, blocks = (
        () if isinstance(list_, int) else tuple(int(i) for i in list_[: _MAX_AXES + 1])
        for list_ in (found.TraversalOrderAsNumpy(), found.BlockMapAsNumpy())
    )
    count = found.DimMetadataLength()
    sound = sorted(order) == list(range(rank + len(blocks))) and all(0 <= axis < rank for axis in blocks)
    if not sound or count != len(order) or count > _MAX_AXES or order[:rank] != tuple(range(rank)):
        raise ModelError(f"{label} is stored without zeros in an order that is not read", hint=_DAMAGED)
    return Sparsity(order, blocks, tuple(_level(found.DimMetadata(i)) for i in range(count)))


def _level(found: Any) -> Level:
    if found.Format() != _SPARSE:
        return Level(found.DenseSize(), np.zeros(0, np.int64), np.zeros(0, np.int64))
    segments = _numbers(found.ArraySegmentsType(), found.ArraySegments())
    return Level(0, segments, _numbers(found.ArrayIndicesType(), found.ArrayIndices()))


def _numbers(kind: int, table: Any) -> Array:
    """A list that is stored as 32, 16 or 8 bits."""
    names = {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"}
    vector = getattr(schema, names[kind])()
    vector.Init(table.Bytes, table.Pos)
    values = vector.ValuesAsNumpy()
    return np.zeros(0, np.int64) if isinstance(values, int) else values.astype(np.int64)


def densify(values: Array, how: Sparsity, shape: tuple[int, ...], label: str) -> Array:
    """The tensor with its zeros.

    Args:
        values: those that are stored, in their order.
        shape: of the tensor.

    Raises:
        ModelError: indices outside the tensor, or more or fewer places than values.
    """
    rank, total = len(shape), math.prod(shape)
    entries: Array = np.zeros(1, np.int64)
    places: list[Array] = []
    for level in how.levels:
        if level.size:
            counts = np.full(len(entries), level.size, np.int64)
        else:
            if (entries + 1 >= len(level.segments)).any():
                raise ModelError(f"{label} is stored with too few segments", hint=_DAMAGED)
            counts = level.segments[entries + 1] - level.segments[entries]
        if (counts < 0).any() or counts.sum() > total:
            raise ModelError(f"{label} is stored with more values than it has", hint=_DAMAGED)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        starts = entries * level.size if level.size else level.segments[entries]
        entries_next = np.repeat(starts, counts) + within
        if (
            not level.size
            and len(entries_next)
            and not 0 <= entries_next.min() <= entries_next.max() < len(level.indices)
        ):
            raise ModelError(f"{label} is stored with too few indices", hint=_DAMAGED)
        places = [np.repeat(place, counts) for place in places]
        places.append(within if level.size else level.indices[entries_next])
        entries = entries_next
    axes = [places[how.order.index(axis)] for axis in range(rank)]
    for block, axis in enumerate(how.blocks):
        level_at = how.order.index(rank + block)
        axes[axis] = axes[axis] * max(how.levels[level_at].size, 1) + places[level_at]
    inside = all(((place >= 0) & (place < size)).all() for place, size in zip(axes, shape, strict=True))
    if not inside or not len(entries) <= len(values) or (len(entries) and entries.max() >= len(values)):
        raise ModelError(f"{label} is stored with places that it does not have", hint=_DAMAGED)
    dense = np.zeros(shape, values.dtype)
    dense[tuple(axes)] = values[entries]
    return dense
