"""ggml's own quantizer, as an oracle: the function of llama.cpp that xllamacpp's library exports."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import numpy as np
import xllamacpp

from shoestring.weights.block_types import block_type, row_bytes


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(Path(xllamacpp.__file__).parent / "xllamacpp.abi3.so"))
    chunk = library.ggml_quantize_chunk
    chunk.restype = ctypes.c_size_t
    pointer = ctypes.c_void_p
    whole = ctypes.c_int64
    chunk.argtypes = [ctypes.c_int, pointer, pointer, whole, whole, whole, pointer]
    return library


def ggml_quantize(weight: np.ndarray, kind: str, importance: np.ndarray | None = None) -> np.ndarray:
    """(rows, bytes of a row), with or without an importance of each column."""
    weight = np.ascontiguousarray(weight, np.float32)
    rows, columns = weight.shape
    out = np.zeros((rows, row_bytes(columns, kind)), np.uint8)
    costs = None if importance is None else np.ascontiguousarray(importance, np.float32)
    size = _library().ggml_quantize_chunk(
        block_type(kind).number, weight.ctypes.data, out.ctypes.data, 0, rows, columns,
        None if costs is None else costs.ctypes.data,
    )  # fmt: skip
    if size != out.size:
        raise ValueError(f"ggml wrote {size} bytes instead of {out.size}")
    return out
