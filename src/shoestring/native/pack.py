"""Weights in the order in which the kernels read them, and the one blob that holds them all."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.native.vectors import Vector

Array = npt.NDArray[Any]
ALIGNMENT = 64
MAGIC = b"SHOEWT01"
BYTE_ORDER = 0x01020304


class Blob:
    """Grows by arrays; every one starts at a multiple of 64 bytes. The first 64 bytes are the header."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = ALIGNMENT

    def add(self, array: Array) -> int:
        """Append the array (little endian) and return its offset."""
        offset = self._size
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        data += bytes(-len(data) % ALIGNMENT)
        self._parts.append(data)
        self._size += len(data)
        return offset

    def finish(self, identity: bytes) -> bytes:
        """The whole blob.

        Args:
            identity: 32 bytes that the program's init compares.
        """
        end = bytes(2 * ALIGNMENT)  # vectors may read beyond the last array
        head = MAGIC + struct.pack("<IIQ", BYTE_ORDER, 0, self._size + len(end)) + identity
        return head.ljust(ALIGNMENT, b"\0") + b"".join(self._parts) + end


def panel_channels(vector: Vector, channels: int, codes: bool) -> list[list[int]]:
    """Channels of every panel in lane order; those from `channels` on are padding."""
    found, start = [], 0
    for vectors in vector.panels(channels):
        found.append([start + i for i in vector.order(vectors, codes)])
        start += vectors * vector.lanes
    return found


def gemm_weights(vector: Vector, weight: Array, codes: bool) -> Array:
    """Weights of a convolution: int8 [panel][segment][depth / 4][vector][lane][4], float [..][depth][vector][lane].

    Args:
        weight: (O, segments, depth); depth a multiple of 4 for int8.
        codes: the outputs are codes, whose lanes may be chunked.
    """
    out_channels, segments, depth = weight.shape
    group = 4 if weight.dtype == np.int8 else 1
    parts = []
    for channels in panel_channels(vector, out_channels, codes):
        rows = padded(weight, len(channels))[channels] if max(channels) >= out_channels else weight[channels]
        rows = rows.reshape(-1, vector.lanes, segments, depth // group, group)
        rows = rows.transpose(2, 3, 0, 1, 4)  # segment, step, vector, lane, tap
        if group == 4 and vector.pairs:
            rows = rows.reshape(*rows.shape[:4], 2, 2).swapaxes(3, 4)
        parts.append(rows.reshape(-1))
    return np.concatenate(parts)


def padded(array: Array, extra: int) -> Array:
    """The array with zeros behind, so that lanes beyond the last channel read zeros."""
    return np.concatenate([array, np.zeros((extra, *array.shape[1:]), array.dtype)])


def by_panel(vector: Vector, values: Array, codes: bool) -> Array:
    """One value a channel (bias, multiplier) in lane order, zeros for padding."""
    order = [i for panel in panel_channels(vector, len(values), codes) for i in panel]
    return padded(values, max(order) + 1)[order]


def depthwise_weights(vector: Vector, weight: Array) -> Array:
    """[block][column][group of four rows][vector][lane][4]; with pairs [..][two vectors][pair][vector][lane][2].

    Args:
        weight: int8 (channels, kh, kw), channels as stored.
    """
    channels, height, width = weight.shape
    groups = -(-height // 4)
    blocks = -(-channels // vector.block)
    full = np.zeros((blocks * vector.block, groups * 4, width), np.int8)
    full[:channels, :height] = weight
    full = full.reshape(blocks, vector.block, groups, 4, width)[:, vector.block_order()]
    full = full.reshape(blocks, 4, vector.lanes, groups, 4, width).transpose(0, 5, 3, 1, 2, 4)
    if vector.pairs:
        full = full.reshape(blocks, width, groups, 2, 2, vector.lanes, 2, 2).transpose(0, 1, 2, 3, 6, 4, 5, 7)
    return np.ascontiguousarray(full).reshape(-1)


def overflows_pairs(vector: Vector, packed: Array, vectors: int = 1) -> bool:
    """Whether two products that a header with `pairs` adds in 16 bits can be too much: both weights are -128.

    Args:
        packed: of `gemm_weights`, or of `depthwise_weights`.
        vectors: that lie together: 1, or 2 for depthwise convolutions.
    """
    if not vector.pairs or packed.dtype != np.int8:
        return False
    lowest = packed.reshape(-1, 2, 2 * vector.lanes * vectors) == -128
    return bool((lowest[:, 0] & lowest[:, 1]).any())


def by_block(vector: Vector, values: Array) -> Array:
    """One value a channel in the lane order of depthwise blocks, zeros for padding."""
    blocks = -(-len(values) // vector.block)
    full = np.zeros(blocks * vector.block, values.dtype)
    full[: len(values)] = values
    return np.ascontiguousarray(full.reshape(blocks, vector.block)[:, vector.block_order()]).reshape(-1)
