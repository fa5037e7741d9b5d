"""The metadata of a GGUF file as bytes: where each pair stands, so that it can be copied as it is.

Layout: docs/gguf.md of github.com/ggml-org/ggml. The header was read by our strict reader before (importers.gguf); here
it is only walked, and what does not hold is refused again.
"""

from __future__ import annotations

import struct

from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_METADATA_KEYS

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # by the number of a type
_TEXT, _LIST, UINT32 = 8, 9, 4
FIRST = 24  # magic, version, count of tensors, count of pairs


def metadata_pairs(head: bytes) -> dict[str, bytes]:
    """Every pair of the metadata, key included, by its key, in the order of the file.

    Args:
        head: the file from its start to the end of its header.

    Raises:
        ModelError: it does not hold what it states.
    """
    try:
        _, _, _, count = struct.unpack_from("<4sIQQ", head, 0)
        if count > MAX_METADATA_KEYS:
            raise ModelError(f"the file states {count:,} keys of metadata, more than {MAX_METADATA_KEYS:,}")
        found: dict[str, bytes] = {}
        place = FIRST
        for _ in range(count):
            start = place
            place = _past_text(head, place)
            key = head[start + 8 : place].decode()
            place = _past_value(head, place)
            found[key] = head[start:place]
    except (struct.error, UnicodeDecodeError, KeyError) as error:
        raise ModelError(
            "the metadata do not hold what they state", hint="the file changed while it was read; run it again"
        ) from error
    return found


def text(value: str) -> bytes:
    """A GGUF string."""
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def number_pair(key: str, value: int) -> bytes:
    """A pair of a 32-bit number."""
    return text(key) + struct.pack("<II", UINT32, value)


def _past_value(head: bytes, place: int) -> int:
    (kind,) = struct.unpack_from("<I", head, place)
    place += 4
    if kind == _TEXT:
        return _past_text(head, place)
    if kind != _LIST:
        return _within(head, place + _SIZES[kind])
    inner, count = struct.unpack_from("<IQ", head, place)
    place += 12
    if inner != _TEXT:
        return _within(head, place + count * _SIZES[inner])
    for _ in range(count):
        place = _past_text(head, place)
    return place


def _past_text(head: bytes, place: int) -> int:
    (size,) = struct.unpack_from("<Q", head, place)
    return _within(head, place + 8 + size)


def _within(head: bytes, place: int) -> int:
    if place > len(head):
        raise struct.error("past the end of the header")
    return place
