"""Write a bundle: the same manifest and blobs give the same bytes, wherever zlib is the same."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from shoestring.base import canonical, disk
from shoestring.base.errors import BundleError, StorageError
from shoestring.base.limits import MAX_MANIFEST_BYTES
from shoestring.bundle.layout import (
    MANIFEST_NAME,
    MAX_TOTAL_BYTES,
    SIGNATURES_NAME,
    Entry,
    directory,
    local_header,
    total_bytes,
)
from shoestring.bundle.refusal import refuse
from shoestring.bundle.rules import check_manifest
from shoestring.bundle.stored import arrange, choose, entry_of, packed, stored_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from shoestring.domain.manifest import Blob, Manifest

CHUNK_BYTES = 1024 * 1024


def pack(path: Path, manifest: Manifest, blobs: Mapping[str, bytes | Path]) -> str:
    """Write a bundle to `path`, whole or not at all.

    Args:
        path: of the `.shoe` file; it may exist.
        manifest: its `blobs` must list exactly these blobs. How each is stored is decided here, and replaces what it
            says of that.
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
    manifest, crcs = with_forms(manifest, blobs)
    try:
        text = canonical.encode(manifest)
    except ValueError as error:
        raise refuse(f"the manifest cannot be written: {error}") from None

    def stored(blob: Blob) -> Iterator[bytes]:
        return packed(blob, _chunks(blobs[blob.sha256]))

    with disk.atomic_file(path) as stream:
        return write_archive(stream, manifest, text, crcs, stored)


def with_forms(manifest: Manifest, blobs: Mapping[str, bytes | Path]) -> tuple[Manifest, dict[str, int]]:
    """The manifest with the form that each blob is stored in, and the checksum in each blob's record.

    Args:
        manifest: its `blobs` must list exactly these blobs.
        blobs: content, or a file that holds it, by SHA-256.

    Raises:
        BundleError: the manifest breaks a rule, or does not fit the blobs.
        StorageError: a blob's file cannot be read.
    """
    check_manifest(manifest)
    _check_listed(manifest, blobs)
    stored = [_store(blob, blobs[blob.sha256]) for blob in manifest.blobs]
    manifest = replace(manifest, blobs=tuple(blob for blob, _ in stored))
    check_manifest(manifest)
    return manifest, {blob.sha256: crc for blob, crc in stored}


def write_archive(
    stream: BinaryIO,
    manifest: Manifest,
    text: bytes,
    crcs: Mapping[str, int],
    stored: Callable[[Blob], Iterable[bytes]],
    envelope: bytes | None = None,
) -> str:
    """Write a bundle whose blobs have their stored form.

    Args:
        stream: to write to.
        manifest: sound.
        text: its canonical bytes.
        crcs: what each blob's record says, by SHA-256.
        stored: gives a blob's stored bytes; they are held against the manifest.
        envelope: of its signatures; None: it is not signed.

    Returns:
        SHA-256 of the bundle.

    Raises:
        BundleError: too large, or stored bytes are not those that the manifest names.
    """
    if len(text) > MAX_MANIFEST_BYTES:
        raise refuse(f"the manifest has {len(text)} bytes, the limit is {MAX_MANIFEST_BYTES}")
    entries = [Entry(MANIFEST_NAME, len(text), zlib.crc32(text))]
    entries += [entry_of(blob, crcs[blob.sha256]) for blob in manifest.blobs]
    if envelope is not None:
        entries.append(Entry(SIGNATURES_NAME, len(envelope), zlib.crc32(envelope)))
    total = total_bytes((entry.name, entry.length) for entry in entries)
    if total > MAX_TOTAL_BYTES:
        raise refuse(f"it would have {total} bytes, the limit is {MAX_TOTAL_BYTES}")
    hasher = hashlib.sha256()
    for chunk in _content(manifest, text, entries, stored, envelope):
        hasher.update(chunk)
        stream.write(chunk)
    return hasher.hexdigest()


def _check_listed(manifest: Manifest, blobs: Mapping[str, bytes | Path]) -> None:
    listed = {blob.sha256 for blob in manifest.blobs}
    odd = sorted(listed ^ set(blobs))
    if odd:
        where = "given but not listed in the manifest" if odd[0] in blobs else "listed in the manifest but not given"
        raise refuse(f"blob {odd[0]} is {where}")


def _store(blob: Blob, content: bytes | Path) -> tuple[Blob, int]:
    """The blob with the form that it is stored in, and the checksum that its record has."""
    size, hasher = 0, hashlib.sha256()
    for chunk in _chunks(content):
        size += len(chunk)
        hasher.update(chunk)
    if size != blob.size_bytes:
        raise refuse(f"blob {blob.sha256} has {size} bytes, the manifest says {blob.size_bytes}")
    if hasher.hexdigest() != blob.sha256:
        raise refuse(f"blob {blob.sha256} has the hash {hasher.hexdigest()}")
    blob = replace(blob, stored=choose(size, lambda: _chunks(content)))
    chunks, crc = _chunks(content), 0
    for chunk in chunks if blob.stored is None else arrange(blob.stored.encoding, chunks):
        crc = zlib.crc32(chunk, crc)
    return blob, crc


def _content(
    manifest: Manifest,
    text: bytes,
    entries: Sequence[Entry],
    stored: Callable[[Blob], Iterable[bytes]],
    envelope: bytes | None,
) -> Iterator[bytes]:
    """The file, chunk by chunk. Stored bytes are hashed again on the way: a file may change between two reads."""
    yield local_header(entries[0]) + text
    for blob, entry in zip(manifest.blobs, entries[1 : len(manifest.blobs) + 1], strict=True):
        yield local_header(entry)
        size, hasher = 0, hashlib.sha256()
        for chunk in stored(blob):
            hasher.update(chunk)
            size += len(chunk)
            yield chunk
        if (size, hasher.hexdigest()) != (entry.length, stored_sha256(blob)):
            raise refuse(f"the stored form of blob {blob.sha256} is not the one that the manifest names by hash")
    if envelope is not None:
        yield local_header(entries[-1]) + envelope
    yield directory(entries)


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
