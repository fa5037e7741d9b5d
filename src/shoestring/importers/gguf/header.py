"""The header of a GGUF file, versions 2 and 3: what the file says of itself and where each tensor lies.

Layout: docs/gguf.md of github.com/ggml-org/ggml. As llama.cpp does (ggml/src/gguf.cpp), tensors must lie one after the
other in the order of the header, each at the next multiple of the alignment: nothing overlaps and nothing is hidden.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import BinaryIO

from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_STORED_TENSORS, MAX_WEIGHTS_FILE_BYTES
from shoestring.domain.weights import Metadata, StoredTensor, WeightsFile
from shoestring.importers.gguf.cursor import DAMAGED, Cursor
from shoestring.importers.gguf.values import UINT32, pairs, read_metadata
from shoestring.importers.weights_stream import check_size, read_with
from shoestring.weights.block_types import BlockType, block_types

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_NAME_BYTES = 64  # docs/gguf.md, GGML_MAX_NAME
MAX_AXES = 4  # GGML_MAX_DIMS
_DEFAULT_ALIGNMENT, _MAX_ALIGNMENT = 32, 1 << 20
_LEAST_INFO_BYTES = 8 + 1 + 4 + 8 + 4 + 8  # a name of one letter, one axis, type and offset
_MAX_ELEMENTS = 1 << 56  # no product of sizes comes near 64 bits


def read_header(path: Path, *, partial: bool = False) -> WeightsFile:
    """Read the header of `path`; of the tensors nothing is read.

    Args:
        path: of the file.
        partial: whether it may be no more than the first bytes of one.

    Raises:
        ModelError: not such a file, or one whose claims do not fit into it.
    """
    return read_with(functools.partial(read_stream, partial=partial), path)


def read_stream(stream: BinaryIO, size_bytes: int, *, partial: bool = False) -> WeightsFile:
    """Read the header at the start of `stream`.

    Args:
        stream: seekable, at its start.
        size_bytes: of the whole file, or of what is here of it.
        partial: as `read_header`; the size of the file is then what its header claims.

    Raises:
        ModelError: as `read_header`.
    """
    check_size(size_bytes)
    cursor = Cursor(stream, size_bytes, partial)
    version = _version(cursor)
    tensor_count = cursor.count("tensors", _LEAST_INFO_BYTES, MAX_STORED_TENSORS)
    metadata, kinds = read_metadata(cursor, pairs(cursor))
    alignment = _alignment(metadata, kinds)
    infos = [_info(cursor, index) for index in range(tensor_count)]
    start = _round_up(cursor.at, alignment)
    tensors, end = _placed(infos, start, alignment, MAX_WEIGHTS_FILE_BYTES if partial else size_bytes)
    if partial:
        size_bytes = max(size_bytes, end)
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str | None):
        raise ModelError("'general.architecture' is no text", hint=DAMAGED)
    unused = max(0, size_bytes - _round_up(end, alignment))
    return WeightsFile("GGUF", version, architecture, metadata, tensors, cursor.at, size_bytes, unused)


def _version(cursor: Cursor) -> int:
    magic = cursor.take(len(MAGIC), "the magic")
    if magic != MAGIC:
        raise ModelError(f"the file starts with {magic!r}, not with {MAGIC!r}", hint="is it a GGUF file?")
    version = int(cursor.number("I", "the version"))
    if version in VERSIONS:
        return version
    if int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS:
        raise ModelError(
            "the file is written for big-endian machines", hint="fetch the little-endian file; all our boards are that"
        )
    raise ModelError(
        f"the file has version {version} of GGUF, and those that are read are 2 and 3",
        hint="convert the model again with a llama.cpp of today",
    )


def _alignment(metadata: dict[str, Metadata], kinds: dict[str, int]) -> int:
    key = "general.alignment"
    found = metadata.get(key, _DEFAULT_ALIGNMENT)
    sound = isinstance(found, int) and kinds.get(key, UINT32) == UINT32
    if not (sound and isinstance(found, int) and 8 <= found <= _MAX_ALIGNMENT and found.bit_count() == 1):
        raise ModelError(f"{key!r} is {found!r}, and must be a power of two from 8 to {_MAX_ALIGNMENT}", hint=DAMAGED)
    return found


def _info(cursor: Cursor, index: int) -> tuple[str, tuple[int, ...], BlockType, int, int]:
    """Name, shape (outermost axis first), block type, offset as stated, bytes needed."""
    name = cursor.text(f"the name of tensor {index}", MAX_NAME_BYTES)
    if not name or not name.isprintable():
        raise ModelError(f"tensor {index} has the name {name!r}", hint=DAMAGED)
    axes = int(cursor.number("I", f"the count of axes of {name!r}"))
    if not 1 <= axes <= MAX_AXES:
        raise ModelError(f"tensor {name!r} has {axes} axes, and 1 to {MAX_AXES} are possible", hint=DAMAGED)
    sizes = [int(cursor.number("Q", f"axis {axis} of {name!r}")) for axis in range(axes)]
    number = int(cursor.number("I", f"the type of {name!r}"))
    offset = int(cursor.number("Q", f"the offset of {name!r}"))
    kind = block_types().get(number)
    if kind is None:
        raise ModelError(
            f"tensor {name!r} is stored as the type number {number}, which is not known",
            hint="it is of a ggml older or newer than this release; convert the model again to a type of today",
        )
    elements = math.prod(sizes)
    if elements > _MAX_ELEMENTS:
        raise ModelError(f"tensor {name!r} claims {elements:,} elements in the shape {sizes}", hint=DAMAGED)
    if sizes[0] % kind.elements:
        raise ModelError(
            f"tensor {name!r} has rows of {sizes[0]:,} elements, and {kind.name} takes multiples of {kind.elements}",
            hint=DAMAGED,
        )
    return name, tuple(reversed(sizes)), kind, offset, elements // kind.elements * kind.size_bytes


def _placed(
    infos: list[tuple[str, tuple[int, ...], BlockType, int, int]], start: int, alignment: int, size_bytes: int
) -> tuple[tuple[StoredTensor, ...], int]:
    """Tensors with their places in the file, and where the last one ends."""
    found: dict[str, StoredTensor] = {}
    expected = end = 0
    for name, shape, kind, offset, needed in infos:
        if name in found:
            raise ModelError(f"the file holds two tensors of the name {name!r}", hint=DAMAGED)
        if offset != expected:
            fault = "overlaps the one before it" if offset < expected else "leaves a gap after the one before it"
            raise ModelError(
                f"tensor {name!r} states the offset {offset:,}, expected {expected:,}: it {fault}", hint=DAMAGED
            )
        end = offset + needed
        if start + end > size_bytes:
            raise ModelError(
                f"tensor {name!r} of {needed:,} bytes ends at byte {start + end:,}, but the file has {size_bytes:,}",
                hint=f"{DAMAGED}, or read the header alone (--header-only)",
            )
        found[name] = StoredTensor(name, kind.name, shape, start + offset, needed)
        expected = _round_up(end, alignment)
    return tuple(found.values()), start + end if infos else start


def _round_up(place: int, step: int) -> int:
    return -(-place // step) * step
