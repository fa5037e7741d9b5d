"""The file of a delta: a fixed line, the length of the header, the header, the data of its parts in order."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, BinaryIO

from shoestring.base import canonical
from shoestring.base.limits import MAX_BLOBS, MAX_BUNDLE_BYTES, MAX_MANIFEST_BYTES, MAX_MANIFEST_VALUES
from shoestring.bundle.refusal import refuse_delta
from shoestring.bundle.rules import is_hash
from shoestring.domain.delta import DELTA_FORMAT, Delta
from shoestring.trust.dsse import check_signatures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shoestring.domain.delta import Part

MAGIC = b"shoestring delta\n"
PATCH, STORED = "patch", "stored"
CHUNK_BYTES = 1024 * 1024
_LENGTH = struct.Struct("<I")


def head_bytes(delta: Delta) -> bytes:
    """Everything in front of the parts' data."""
    text = canonical.encode(delta)
    return MAGIC + _LENGTH.pack(len(text)) + text


class DeltaReader:
    """A delta whose header was checked.

    Args:
        stream: at the first byte of a delta, seekable; it stays the caller's.

    Raises:
        BundleError: it is none, or its header breaks a rule.
    """

    def __init__(self, stream: BinaryIO) -> None:
        size = os.fstat(stream.fileno()).st_size
        fixed = stream.read(len(MAGIC) + _LENGTH.size)
        if len(fixed) != len(MAGIC) + _LENGTH.size or not fixed.startswith(MAGIC):
            raise refuse_delta("it does not begin as a delta does")
        (length,) = _LENGTH.unpack(fixed[len(MAGIC) :])
        if length > MAX_MANIFEST_BYTES:
            raise refuse_delta(f"its header has {length} bytes, the limit is {MAX_MANIFEST_BYTES}")
        text = stream.read(length)
        values = sum(text.count(mark) for mark in (b",", b":", b"[", b"{"))
        if values > MAX_MANIFEST_VALUES:
            raise refuse_delta(f"its header holds {values} values, the limit is {MAX_MANIFEST_VALUES}")
        self.delta = canonical.decode(text, Delta, lambda reason: refuse_delta(f"header: {reason}"))
        _check(self.delta)
        self._stream, self._offsets, offset = stream, dict[str, int](), len(fixed) + length
        for part in self.delta.parts:
            self._offsets[part.sha256] = offset
            offset += part.size_bytes
        if offset != size:
            raise refuse_delta(f"it has {size} bytes, its header describes a file of {offset}")

    def chunks(self, part: Part) -> Iterator[bytes]:
        """Data of a part, not yet held against their hash."""
        left, position = part.size_bytes, self._offsets[part.sha256]
        while left > 0:
            self._stream.seek(position)
            chunk = self._stream.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise refuse_delta("it was cut while it was read")
            left, position = left - len(chunk), position + len(chunk)
            yield chunk

    def read(self, part: Part, limit_bytes: int) -> bytes:
        """Data of a part, with their hash.

        Raises:
            BundleError: more than `limit_bytes`, or another hash.
        """
        if part.size_bytes > limit_bytes:
            raise refuse_delta(f"part {part.sha256} has {part.size_bytes} bytes, the limit is {limit_bytes}")
        data = b"".join(self.chunks(part))
        if canonical.sha256_hex(data) != part.data_sha256:
            raise refuse_delta(f"part {part.sha256} does not have its hash")
        return data


def _check(delta: Delta) -> None:
    if delta.format != DELTA_FORMAT:
        raise refuse_delta(f"its format is {delta.format}, this version reads format {DELTA_FORMAT}")
    if not 1 <= len(delta.parts) <= MAX_BLOBS + 1:
        raise refuse_delta(f"it has {len(delta.parts)} parts, outside 1 to {MAX_BLOBS + 1}")
    hashes = [delta.old_sha256, delta.new_sha256]
    for part in delta.parts:
        hashes += [part.sha256, part.data_sha256, *([] if part.base is None else [part.base])]
        if part.kind not in (PATCH, STORED) or (part.kind == STORED and part.base is not None):
            raise refuse_delta(f"a part of kind {part.kind!r} from {part.base!r}")
        if not 0 <= part.size_bytes <= MAX_BUNDLE_BYTES:
            raise refuse_delta(f"a part has {part.size_bytes} bytes, outside 0 to {MAX_BUNDLE_BYTES}")
        if not 0 <= part.content_bytes <= MAX_BUNDLE_BYTES:
            raise refuse_delta(f"a part gives {part.content_bytes} bytes, outside 0 to {MAX_BUNDLE_BYTES}")
        if not 0 <= part.crc32 < 2**32:
            raise refuse_delta(f"a part has the checksum {part.crc32}, outside 32 bits")
    for sha256 in hashes:
        if not is_hash(sha256):
            raise refuse_delta(f"{sha256!r} is not 64 lower-case hexadecimal digits")
    if len({part.sha256 for part in delta.parts}) != len(delta.parts):
        raise refuse_delta("two parts are of one file")
    if delta.signatures is not None:
        check_signatures(delta.signatures, lambda reason: refuse_delta(f"signatures: {reason}"))
