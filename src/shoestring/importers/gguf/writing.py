"""A GGUF file of version 3, written from its first byte to its last: one tensor in memory at a time.

Layout: docs/gguf.md of github.com/ggml-org/ggml.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import ModelError
from shoestring.importers.gguf.header import MAGIC, MAX_AXES, MAX_NAME_BYTES
from shoestring.importers.gguf.values import ARRAY, SCALARS, STRING
from shoestring.weights.block_types import block_type, tensor_bytes

VERSION, ALIGNMENT = 3, 32
_NUMBERS = {name: (number, code) for number, (name, code) in SCALARS.items()}


@dataclass(frozen=True)
class Planned:
    """One tensor to be written.

    Args:
        name: in the file.
        type: in ggml's word (F32, F16, BF16).
        shape: outermost axis first.
        data: reads its values when they are written; its bytes are those of the file.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    data: Callable[[], npt.NDArray[Any]]


def scalar(kind: str, value: float | bool) -> bytes:
    """A number of the metadata, with its type's name in ggml (UINT32, FLOAT32, BOOL)."""
    number, code = _NUMBERS[kind]
    return struct.pack(f"<I{code}", number, value)


def text(value: str | bytes) -> bytes:
    """A text of the metadata."""
    return struct.pack("<I", STRING) + _string(value)


def texts(values: Sequence[str]) -> bytes:
    """A list of texts."""
    return struct.pack("<IIQ", ARRAY, STRING, len(values)) + b"".join(map(_string, values))


def numbers(kind: str, values: Iterable[float]) -> bytes:
    """A list of numbers of one type."""
    number, code = _NUMBERS[kind]
    data = np.fromiter(values, np.dtype(f"<{code}"))
    return struct.pack("<IIQ", ARRAY, number, len(data)) + data.tobytes()


def pieces(pairs: dict[str, bytes], tensors: Sequence[Planned]) -> Iterator[bytes | memoryview]:
    """The bytes of a file, a header first and then a tensor at a time.

    Args:
        pairs: metadata by key, each as `scalar`, `text`, `texts` or `numbers` gives it.
        tensors: in the order of the file.

    Raises:
        ModelError: a name that is too long, or a tensor whose data are not what was planned.
    """
    sizes = [_size(tensor) for tensor in tensors]
    head = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(pairs))]
    head += [_string(key) + value for key, value in pairs.items()]
    at = 0
    for tensor, size in zip(tensors, sizes, strict=True):
        head.append(_info(tensor, at))
        at += size + -size % ALIGNMENT
    data = b"".join(head)
    yield data + bytes(-len(data) % ALIGNMENT)
    for tensor, size in zip(tensors, sizes, strict=True):
        values: Any = np.ascontiguousarray(tensor.data())
        if values.nbytes != size:
            raise ModelError(f"tensor {tensor.name!r} has {values.nbytes:,} bytes, and {size:,} were planned")
        yield memoryview(values).cast("B")
        yield bytes(-size % ALIGNMENT)


def _size(tensor: Planned) -> int:
    if len(tensor.name.encode()) > MAX_NAME_BYTES or not 1 <= len(tensor.shape) <= MAX_AXES:
        raise ModelError(f"GGUF has no place for a tensor {tensor.name!r} of shape {list(tensor.shape)}")
    return tensor_bytes(tensor.type, tensor.shape)


def _info(tensor: Planned, at: int) -> bytes:
    sizes = tuple(reversed(tensor.shape))
    form = f"<I{len(sizes)}QIQ"
    return _string(tensor.name) + struct.pack(form, len(sizes), *sizes, block_type(tensor.type).number, at)


def _string(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data
