"""Where every byte of a bundle lies.

A bundle is a ZIP archive of one fixed shape, so that any tool can list it: entries stored or deflated as the manifest
says, 1980-01-01, mode 0644, no extra fields, no comments, first `manifest.json`, stored, then `blobs/<sha256>` sorted,
and in a signed bundle `signatures.json`, stored.
All records are functions of names, sizes, forms and checksums; reader and writer both build them here (PKWARE,
APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.limits import MAX_BUNDLE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MANIFEST_NAME = "manifest.json"
SIGNATURES_NAME = "signatures.json"
MAX_TOTAL_BYTES = min(MAX_BUNDLE_BYTES, 2**32 - 2)  # 2**32 - 1 in a size or offset announces 64-bit records

_VERSION = 20  # what Python's zipfile writes for stored and deflated entries
_UNIX = 3
_DATE = 33  # 1980-01-01 in MS-DOS form: year 0, month 1, day 1
_MODE = 0o100644 << 16
_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_CENTRAL = struct.Struct("<4sBBHHHHHLLLHHHHHLL")
_END = struct.Struct("<4sHHHHLLH")


@dataclass(frozen=True)
class Entry:
    """One file of the archive.

    Args:
        name: inside the archive.
        size_bytes: of its content.
        crc32: of its content.
        deflated_bytes: of its compressed form; None: stored as it is.
    """

    name: str
    size_bytes: int
    crc32: int
    deflated_bytes: int | None = None

    @property
    def length(self) -> int:
        """Bytes in the file, without records."""
        return self.size_bytes if self.deflated_bytes is None else self.deflated_bytes

    @property
    def method(self) -> int:
        """ZIP's number for the form: 0 stored, 8 deflated."""
        return 0 if self.deflated_bytes is None else 8


def blob_name(sha256: str) -> str:
    """Name of the blob's entry."""
    return f"blobs/{sha256}"


def local_header(entry: Entry) -> bytes:
    """The record in front of the entry's content."""
    name, size = entry.name.encode(), entry.size_bytes
    return (
        _LOCAL.pack(b"PK\3\4", _VERSION, 0, entry.method, 0, _DATE, entry.crc32, entry.length, size, len(name), 0)
        + name
    )


def local_header_bytes(name: str) -> int:
    """Length of `local_header` for an entry called `name`."""
    return _LOCAL.size + len(name.encode())


def claimed_entry(header: bytes, name: str) -> Entry:
    """The entry that a local header speaks of, by its size and checksum fields alone.

    Args:
        header: as many bytes as `local_header_bytes(name)`; whether the rest of it is right is for the caller to
            compare.
        name: expected.
    """
    fields = _LOCAL.unpack_from(header)
    return Entry(name, size_bytes=fields[8], crc32=fields[6])


def directory(entries: Sequence[Entry]) -> bytes:
    """Everything after the last entry's content: central directory and end record.

    Args:
        entries: in the order of the file.
    """
    records, offset = [], 0
    for entry in entries:
        name, size = entry.name.encode(), entry.size_bytes
        form = (_VERSION, _UNIX, _VERSION, 0, entry.method, 0, _DATE)
        fields = (*form, entry.crc32, entry.length, size, len(name), 0, 0, 0, 0, _MODE)
        records.append(_CENTRAL.pack(b"PK\1\2", *fields, offset) + name)
        offset += local_header_bytes(entry.name) + entry.length
    central = b"".join(records)
    return central + _END.pack(b"PK\5\6", 0, 0, len(entries), len(entries), len(central), offset, 0)


def entry_bytes(name: str, size: int) -> int:
    """What one entry adds to a bundle: its record, its content and its line in the directory.

    Args:
        name: of the entry.
        size: of its stored content.
    """
    return local_header_bytes(name) + size + _CENTRAL.size + len(name.encode())


def total_bytes(names_and_sizes: Iterable[tuple[str, int]]) -> int:
    """Length of a whole bundle.

    Args:
        names_and_sizes: name and stored length of every entry, the manifest included.
    """
    return _END.size + sum(entry_bytes(name, size) for name, size in names_and_sizes)
