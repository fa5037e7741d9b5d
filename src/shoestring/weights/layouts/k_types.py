"""Types of blocks of 256: scales of a few bits for groups of 16 or 32. Structs of ggml/src/ggml-common.h."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.weights.layouts.layout import Field, Layout
from shoestring.weights.layouts.plain import IQ4_LEVELS

if TYPE_CHECKING:
    from shoestring.weights.arrays import Bytes

_BLOCK = 256
_D, _M = Field("d", 2), Field("m", 2)
_LOW = Field("codes", 128, run=32, bits=4)
_SIX = np.uint8(0x3F)  # the six bits of a scale that stand together
_FOUR = np.uint8(0x0F)
_TOP = np.uint8(0x30)  # the two bits that stand apart, in their place


def _whole(low: int, high: int) -> np.ndarray:
    return np.arange(low, high + 1, dtype=np.float32)


def unpack_pairs(data: Bytes) -> tuple[Bytes, Bytes]:
    """Eight scales and eight minimums of six bits each, from 12 bytes (get_scale_min_k4 of ggml-quants.c)."""
    first, second, rest = data[:, :4], data[:, 4:8], data[:, 8:]
    high = np.uint8(2)
    scales = np.concatenate([first & _SIX, (rest & _FOUR) | ((first >> high) & _TOP)], axis=1)
    minimums = np.concatenate([second & _SIX, (rest >> np.uint8(4)) | ((second >> high) & _TOP)], axis=1)
    return scales, minimums


def pack_pairs(scales: Bytes, minimums: Bytes) -> Bytes:
    """The 12 bytes of them."""
    high = np.uint8(2)
    first = scales[:, :4] | ((scales[:, 4:] & _TOP) << high)
    second = minimums[:, :4] | ((minimums[:, 4:] & _TOP) << high)
    rest = (scales[:, 4:] & _FOUR) | ((minimums[:, 4:] & _FOUR) << np.uint8(4))
    return np.concatenate([first, second, rest], axis=1)


_PAIRS = (unpack_pairs, pack_pairs)


def _unpack_nibbles(data: Bytes) -> tuple[Bytes, Bytes]:
    return data & _FOUR, data >> np.uint8(4)


def _pack_nibbles(scales: Bytes, minimums: Bytes) -> Bytes:
    return scales | (minimums << np.uint8(4))


K_TYPES = (
    Layout(
        "Q2_K", _BLOCK, 16, _whole(0, 3), (Field("pairs", 16), Field("codes", 64, run=32, bits=2), _D, _M),
        scales=(0, 15), minimums=15, pairs=(_unpack_nibbles, _pack_nibbles),
    ),
    Layout(
        "Q3_K", _BLOCK, 16, _whole(-4, 3),
        (
            Field("codes", 32, run=32, bits=1, shift=2), Field("codes", 64, run=32, bits=2),
            Field("scales", 8, run=8, bits=4), Field("scales", 4, run=4, bits=2, shift=4), _D,
        ),
        scales=(-32, 31), scale_bias=32,
    ),
    Layout(
        "Q4_K", _BLOCK, 32, _whole(0, 15), (_D, _M, Field("pairs", 12), _LOW),
        scales=(0, 63), minimums=63, pairs=_PAIRS,
    ),
    Layout(
        "Q5_K", _BLOCK, 32, _whole(0, 31),
        (_D, _M, Field("pairs", 12), Field("codes", 32, run=32, bits=1, shift=4), _LOW),
        scales=(0, 63), minimums=63, pairs=_PAIRS,
    ),
    Layout(
        "Q6_K", _BLOCK, 16, _whole(-32, 31),
        (Field("codes", 128, run=64, bits=4), Field("codes", 64, run=32, bits=2, shift=4), Field("scales", 16), _D),
        scales=(-128, 127),
    ),
    Layout(
        "IQ4_XS", _BLOCK, 32, IQ4_LEVELS,
        (
            _D, Field("scales", 2, run=1, bits=2, shift=4), Field("scales", 4, run=1, bits=4),
            Field("codes", 128, run=16, bits=4),
        ),
        scales=(-32, 31), scale_bias=32,
    ),
)  # fmt: skip
