"""The header of a safetensors file: JSON that says where each tensor lies.

Layout and rules: README.md and safetensors/src/tensor.rs of github.com/huggingface/safetensors. The data of the tensors
cover the rest of the file exactly: no gap, no overlap, nothing after the last.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any, BinaryIO

from shoestring.base.errors import ModelError
from shoestring.base.limits import (
    MAX_METADATA_KEYS,
    MAX_METADATA_TEXT_BYTES,
    MAX_SAFETENSORS_HEADER_BYTES,
    MAX_STORED_TENSORS,
    MAX_TENSOR_AXES,
    MAX_TENSOR_NAME_BYTES,
)
from shoestring.domain.weights import Metadata, StoredTensor, WeightsFile
from shoestring.importers.safetensors.strict_json import DAMAGED, parse
from shoestring.importers.weights_stream import check_size, read_with

LENGTH_BYTES = 8
METADATA = "__metadata__"
# Bits of an element (enum Dtype in tensor.rs).
BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
_FIELDS = {"dtype", "shape", "data_offsets"}


def read_header(path: Path, *, partial: bool = False) -> WeightsFile:
    """Read the header of `path`; of the tensors nothing is read.

    Args:
        path: of the file.
        partial: whether it may be no more than the first bytes of one.

    Raises:
        ModelError: not such a file, or one whose claims do not fit into it.
    """
    return read_with(functools.partial(read_stream, partial=partial), path)


def read_stream(stream: BinaryIO, size_bytes: int, *, file: str = "", partial: bool = False) -> WeightsFile:
    """Read the header at the start of `stream`.

    Args:
        size_bytes: of the whole file, or of what is here of it.
        partial: as `read_header`; the size of the file is then what its header claims.
        file: name to give to its tensors.

    Raises:
        ModelError: as `read_header`.
    """
    check_size(size_bytes)
    if size_bytes < LENGTH_BYTES:
        raise ModelError(f"the file has {size_bytes} bytes, fewer than a header", hint=DAMAGED)
    length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
    limit = min(MAX_SAFETENSORS_HEADER_BYTES, size_bytes - LENGTH_BYTES)
    if length > limit:
        raise ModelError(
            f"the file states a header of {length:,} bytes, more than the {limit:,} possible", hint=DAMAGED
        )
    data = stream.read(length)
    if len(data) != length:
        raise ModelError("the file shrank while it was read", hint="run it again")
    if not data.startswith(b"{"):
        raise ModelError("the header does not begin with a brace", hint="is it a safetensors file?")
    entries = parse(data, "the header")
    metadata = _metadata(entries.pop(METADATA, {}))
    if len(entries) > MAX_STORED_TENSORS:
        raise ModelError(
            f"the file holds {len(entries):,} tensors, more than the limit of {MAX_STORED_TENSORS:,}", hint=DAMAGED
        )
    start = LENGTH_BYTES + length
    tensors = tuple(_tensor(name, entry, start, file) for name, entry in entries.items())
    if partial:
        size_bytes = start + sum(tensor.size_bytes for tensor in tensors)
        check_size(size_bytes)
    _check_cover(tensors, start, size_bytes)
    return WeightsFile("safetensors", 0, None, metadata, tensors, start, size_bytes)


def _metadata(found: Any) -> dict[str, Metadata]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ModelError(f"{METADATA} is no map of texts", hint=DAMAGED)
    if len(found) > MAX_METADATA_KEYS:
        raise ModelError(f"{METADATA} has {len(found):,} keys, more than {MAX_METADATA_KEYS:,}", hint=DAMAGED)
    for key, value in found.items():
        if not key.isprintable() or len(value) > MAX_METADATA_TEXT_BYTES:
            raise ModelError(f"{METADATA} holds {key[:80]!r} with {len(value):,} letters", hint=DAMAGED)
        _check_text(value, f"{METADATA} {key[:80]!r}")
    return dict(found)


def _check_text(text: str, what: str) -> None:
    """JSON can write half of a surrogate pair, which no output can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ModelError(f"{what} is no text", hint=DAMAGED) from error


def _tensor(name: str, entry: Any, start: int, file: str) -> StoredTensor:
    if not name or not name.isprintable() or len(name.encode("utf-8", "replace")) > MAX_TENSOR_NAME_BYTES:
        raise ModelError(f"the file holds a tensor of the name {name[:80]!r}", hint=DAMAGED)
    if not isinstance(entry, dict) or set(entry) != _FIELDS:
        raise ModelError(f"tensor {name!r} has other fields than {sorted(_FIELDS)}", hint=DAMAGED)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    bits = BITS.get(dtype) if isinstance(dtype, str) else None
    if bits is None:
        raise ModelError(
            f"tensor {name!r} has the element type {str(dtype)[:40]!r}, which is not known",
            hint="it is newer than this release, or the file is damaged",
        )
    if not (_sizes(shape) and len(shape) <= MAX_TENSOR_AXES):
        raise ModelError(f"tensor {name!r} has no sound shape", hint=DAMAGED)
    if not (_sizes(offsets) and len(offsets) == 2):
        raise ModelError(f"tensor {name!r} has no sound offsets", hint=DAMAGED)
    begin, end = offsets
    needed = math.prod(shape) * bits
    if needed % 8 or end - begin != needed // 8:
        raise ModelError(
            f"tensor {name!r} of type {dtype} and shape {shape} takes {needed / 8:,g} bytes, but states "
            f"{end - begin:,}",
            hint=DAMAGED,
        )
    return StoredTensor(name, dtype, tuple(shape), start + begin, end - begin, file)


def _sizes(found: Any) -> bool:
    return isinstance(found, list) and all(type(size) is int and size >= 0 for size in found)


def _check_cover(tensors: tuple[StoredTensor, ...], start: int, size_bytes: int) -> None:
    """One after the other, from the end of the header to the end of the file."""
    at = start
    for tensor in sorted(tensors, key=lambda one: (one.offset, one.size_bytes)):
        if tensor.offset != at:
            gap = tensor.offset - at
            fault = "overlaps another" if gap < 0 else f"leaves {gap:,} bytes unused"
            raise ModelError(
                f"tensor {tensor.name!r} begins at byte {tensor.offset:,}, expected {at:,}: it {fault}", hint=DAMAGED
            )
        at += tensor.size_bytes
    if at != size_bytes:
        raise ModelError(f"the tensors end at byte {at:,}, but the file has {size_bytes:,}", hint=DAMAGED)
