"""A GGUF file with some of its tensors stored anew; all else is copied as it is."""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING, BinaryIO

from shoestring.base import disk
from shoestring.base.errors import ModelError, UsageError
from shoestring.weights.block_types import block_type, tensor_bytes
from shoestring.weights.pairs import metadata_pairs, number_pair, text
from shoestring.weights.tensors import open_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from shoestring.domain.weights import StoredTensor, WeightsFile
    from shoestring.weights.arrays import Bytes
    from shoestring.weights.tensors import Tensors

_VERSION = 3  # as version 2, but for machines of the other byte order
_ALIGNMENT = 32
_QUANTIZATION_VERSION = 2  # GGML_QNT_VERSION of ggml.h: the layouts of today
# enum llama_ftype of include/llama.h, which llama.cpp only shows: the type that most matrices have.
_FILE_TYPES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K": 12, "Q4_K": 15,
    "Q5_K": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30, "BF16": 32,
}  # fmt: skip
_UNNAMED = 1024  # LLAMA_FTYPE_GUESSED
_COPY_BYTES = 1 << 24


def write_gguf(
    out: Path, source: Path, header: WeightsFile, types: Mapping[str, str], data: Callable[[str], Bytes]
) -> None:
    """Write `source` to `out` with other block types; `out` appears whole or not at all.

    The metadata are copied byte by byte, but for general.file_type and general.quantization_version, which say what is
    there now. Tensors keep their order; those that `types` does not name are copied byte by byte.

    Args:
        out: in a directory that exists.
        source: a GGUF file of one piece.
        header: of it, read before.
        types: block type by the name of each tensor that is stored anew.
        data: its bytes by its name, uint8 in any shape; asked for one tensor at a time, in the order of the file.

    Raises:
        UsageError: `types` names no tensor of the file, or `out` is `source`.
        ModelError: not such a file, a type that a shape does not allow, or data of another size.
        StorageError: the disk refuses.
    """
    if header.format != "GGUF" or header.files:
        raise ModelError(f"{source} is no GGUF file of one piece", hint="convert it to one first")
    missing = sorted(set(types) - {tensor.name for tensor in header.tensors})
    if missing:
        raise UsageError(f"{source} has no tensor {missing[0]!r}")
    if out.exists() and out.samefile(source):
        raise UsageError(f"{out} is the file that is read", hint="write to another one")
    with open_tensors(source, header) as tensors, disk.atomic_file(out) as stream:
        _write(stream, source, header, types, data, tensors)


def _write(
    stream: BinaryIO,
    source: Path,
    header: WeightsFile,
    types: Mapping[str, str],
    data: Callable[[str], Bytes],
    tensors: Tensors,
) -> None:
    with source.open("rb") as opened:
        pairs = metadata_pairs(opened.read(header.header_bytes))
    alignment = header.metadata.get("general.alignment", _ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1:
        raise ModelError(f"'general.alignment' is {alignment!r}")
    kinds = {tensor.name: types.get(tensor.name, tensor.type) for tensor in header.tensors}
    head = _head(header, pairs, kinds, alignment)
    stream.write(head)
    place = len(head)
    for tensor in header.tensors:
        place += stream.write(bytes(-place % alignment))
        place += _write_tensor(stream, tensor, tensors, types.get(tensor.name), data)
    stream.write(bytes(-place % alignment))


def _head(header: WeightsFile, pairs: dict[str, bytes], kinds: dict[str, str], alignment: int) -> bytes:
    """All before the first tensor's data."""
    facts = {"general.file_type": _file_type(header, kinds), "general.quantization_version": _QUANTIZATION_VERSION}
    pairs = pairs | {key: number_pair(key, value) for key, value in facts.items()}
    parts = [struct.pack("<4sIQQ", b"GGUF", _VERSION, len(header.tensors), len(pairs)), *pairs.values()]
    offset = 0
    for tensor in header.tensors:
        kind = kinds[tensor.name]
        sizes = tuple(reversed(tensor.shape))
        parts.append(text(tensor.name) + struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes))
        parts.append(struct.pack("<IQ", block_type(kind).number, offset))
        offset += tensor_bytes(kind, tensor.shape)
        offset += -offset % alignment
    return b"".join(parts)


def _write_tensor(
    stream: BinaryIO, tensor: StoredTensor, tensors: Tensors, kind: str | None, data: Callable[[str], Bytes]
) -> int:
    if kind is None:
        raw = tensors[tensor.name]
    else:
        raw = data(tensor.name).reshape(-1)
        needed = tensor_bytes(kind, tensor.shape)
        if raw.dtype.name != "uint8" or raw.size != needed:
            raise ModelError(
                f"{tensor.name!r} takes {needed:,} bytes as {kind}, and {raw.size:,} of {raw.dtype} were given"
            )
    for start in range(0, raw.size, _COPY_BYTES):
        stream.write(raw[start : start + _COPY_BYTES].tobytes())
    return int(raw.size)


def _file_type(header: WeightsFile, kinds: dict[str, str]) -> int:
    """The type that holds most elements of the matrices inside the blocks."""
    weight: Counter[str] = Counter()
    for tensor in header.tensors:
        if len(tensor.shape) > 1 and tensor.name.startswith("blk."):
            weight[kinds[tensor.name]] += tensor.elements
    return _FILE_TYPES.get(weight.most_common(1)[0][0], _UNNAMED) if weight else _UNNAMED
