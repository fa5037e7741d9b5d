"""Write a bundle: the same manifest and blobs always give the same bytes."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import canonical, disk
from shoestring.base.errors import BundleError, StorageError
from shoestring.base.limits import MAX_MANIFEST_BYTES
from shoestring.bundle.layout import (
    MANIFEST_NAME,
    MAX_TOTAL_BYTES,
    Entry,
    blob_name,
    directory,
    local_header,
    total_bytes,
)
from shoestring.bundle.refusal import refuse
from shoestring.bundle.rules import check_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shoestring.domain.manifest import Blob, Manifest

CHUNK_BYTES = 1024 * 1024


def pack(path: Path, manifest: Manifest, blobs: Mapping[str, bytes | Path]) -> str:
    """Write a bundle to `path`, whole or not at all.

    Args:
        path: of the `.shoe` file; it may exist.
        manifest: its `blobs` must list exactly these blobs.
        blobs: content, or a file that holds it, by SHA-256. Files are streamed.

    Returns:
        SHA-256 of the file.

    Raises:
        BundleError: the manifest breaks a rule, or does not fit the blobs.
        StorageError: a blob's file cannot be read, or the disk refuses the bundle.
    """
    try:
        return _pack(Path(path), manifest, blobs)
    except BundleError as error:
        raise BundleError(error.message, hint="what was handed to the bundle writer breaks the format") from None


def _pack(path: Path, manifest: Manifest, blobs: Mapping[str, bytes | Path]) -> str:
    check_manifest(manifest)
    try:
        text = canonical.encode(manifest)
    except ValueError as error:
        raise refuse(f"the manifest cannot be written: {error}") from None
    if len(text) > MAX_MANIFEST_BYTES:
        raise refuse(f"the manifest has {len(text)} bytes, the limit is {MAX_MANIFEST_BYTES}")
    entries = [Entry(MANIFEST_NAME, len(text), zlib.crc32(text)), *_blob_entries(manifest, blobs)]
    total = total_bytes((entry.name, entry.size_bytes) for entry in entries)
    if total > MAX_TOTAL_BYTES:
        raise refuse(f"it would have {total} bytes, the limit is {MAX_TOTAL_BYTES}")
    hasher = hashlib.sha256()
    with disk.atomic_file(path) as stream:
        for chunk in _content(manifest, text, entries, blobs):
            hasher.update(chunk)
            stream.write(chunk)
    return hasher.hexdigest()


def _blob_entries(manifest: Manifest, blobs: Mapping[str, bytes | Path]) -> Iterator[Entry]:
    listed = {blob.sha256 for blob in manifest.blobs}
    odd = sorted(listed ^ set(blobs))
    if odd:
        where = "given but not listed in the manifest" if odd[0] in blobs else "listed in the manifest but not given"
        raise refuse(f"blob {odd[0]} is {where}")
    for blob in manifest.blobs:
        size, crc, hasher = 0, 0, hashlib.sha256()
        for chunk in _chunks(blobs[blob.sha256]):
            size += len(chunk)
            crc = zlib.crc32(chunk, crc)
            hasher.update(chunk)
        _check_digest(blob, size, hasher.hexdigest())
        yield Entry(blob_name(blob.sha256), size, crc)


def _content(
    manifest: Manifest, text: bytes, entries: list[Entry], blobs: Mapping[str, bytes | Path]
) -> Iterator[bytes]:
    """The file, chunk by chunk. Blobs are hashed again on the way: a file may change between two reads."""
    yield local_header(entries[0]) + text
    for blob, entry in zip(manifest.blobs, entries[1:], strict=True):
        yield local_header(entry)
        size, hasher = 0, hashlib.sha256()
        for chunk in _chunks(blobs[blob.sha256]):
            hasher.update(chunk)
            size += len(chunk)
            yield chunk
        _check_digest(blob, size, hasher.hexdigest())
    yield directory(entries)


def _check_digest(blob: Blob, size_bytes: int, sha256: str) -> None:
    if size_bytes != blob.size_bytes:
        raise refuse(f"blob {blob.sha256} has {size_bytes} bytes, the manifest says {blob.size_bytes}")
    if sha256 != blob.sha256:
        raise refuse(f"blob {blob.sha256} has the hash {sha256}")


def _chunks(blob: bytes | Path) -> Iterator[bytes]:
    if isinstance(blob, bytes):
        yield blob
        return
    try:
        stream = blob.open("rb")
    except OSError as error:
        raise _unreadable(blob, error) from error
    with stream:
        while True:
            try:
                chunk = stream.read(CHUNK_BYTES)
            except OSError as error:
                raise _unreadable(blob, error) from error
            if not chunk:
                return
            yield chunk


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot read {path}: {error.strerror or error}", hint="run the fit again; it makes the file")
