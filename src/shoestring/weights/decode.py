"""Stored weights as float32, bit by bit what llama.cpp computes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import MissingExtraError, ModelError
from shoestring.weights.block_types import block_type, tensor_bytes
from shoestring.weights.layouts import LAYOUTS

if TYPE_CHECKING:
    from shoestring.weights.arrays import Array, Bytes, Floats

_CHUNK_ELEMENTS = 1 << 18  # so much at a time: what lies between the steps stays in a core's cache
_FLOATS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8"}
_WHOLE = ("I8", "I16", "I32", "I64")


def dequantize(raw: Array, kind: str, shape: tuple[int, ...]) -> Floats:
    """The values of a tensor.

    Args:
        raw: its bytes, uint8, in any shape.
        kind: its block type.
        shape: outermost axis first.

    Returns:
        float32 of that shape, an array of its own.

    Raises:
        ModelError: no such type, one that holds no weights, or bytes that are not those of the shape.
        MissingExtraError: a type that only the package `gguf` reads, which is not installed.
    """
    needed = tensor_bytes(kind, shape)
    if raw.size != needed or raw.dtype != np.uint8:
        raise ModelError(f"{kind} of shape {shape} takes {needed:,} bytes, and {raw.size:,} of {raw.dtype} are there")
    flat = np.ascontiguousarray(raw).reshape(-1)
    if kind in _FLOATS:
        return _floats(flat, kind).reshape(shape)
    if kind in LAYOUTS:
        return _blocks(flat, kind).reshape(shape)
    return _by_package(flat, kind).reshape(shape)


def _floats(flat: Bytes, kind: str) -> Floats:
    read = flat.view(_FLOATS[kind])
    if kind == "BF16":
        return (read.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return read.astype(np.float32)


def _blocks(flat: Bytes, kind: str) -> Floats:
    layout = LAYOUTS[kind]
    blocks = flat.reshape(-1, layout.size_bytes)
    values = np.empty((len(blocks), layout.elements), np.float32)
    step = _CHUNK_ELEMENTS // layout.elements
    with np.errstate(all="ignore"):  # a scale that is no number makes values that are none, as in llama.cpp
        for start in range(0, len(blocks), step):
            values[start : start + step] = layout.values(layout.unpack(blocks[start : start + step]))
    return values


def _by_package(flat: Bytes, kind: str) -> Floats:
    if kind in _WHOLE:
        raise ModelError(f"{kind} holds whole numbers, no weights", hint="only weights are dequantised")
    try:
        import gguf
    except ImportError as error:
        raise MissingExtraError("gguf", "fit-llm") from error
    block = block_type(kind)
    rows = flat.reshape(-1, block.size_bytes)
    try:
        with np.errstate(all="ignore"):
            values: Floats = gguf.dequantize(rows, gguf.GGMLQuantizationType(block.number))
    except (NotImplementedError, ValueError) as error:  # what the package raises for types that it only names
        raise ModelError(
            f"nothing here reads weights of the type {kind}", hint="start from a file of F16, BF16 or Q8_0"
        ) from error
    return values.reshape(math.prod(values.shape))
