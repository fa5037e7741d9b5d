"""Verify a bundle in one pass from its first byte to its last.

1. The first record must be the one that we write for `manifest.json`, of at most MAX_MANIFEST_BYTES.
2. The manifest must be canonical JSON of the closed schema and keep every rule of `bundle.rules`.
3. Manifest and layout give the length of the file; what it has beyond that must be one more entry, of at most
   MAX_ENVELOPE_BYTES, or nothing.
4. Each blob must follow in its place, with the size and the SHA-256 of its stored bytes; only then are they expanded,
   and must give the size and the SHA-256 of the content.
5. That entry is `signatures.json`: an envelope in the only form of its signatures, with the statement that follows from
   this manifest. Whether the signatures hold, and of whom they are, is for `bundle.signing` and a policy.
6. Every record around the contents (local headers, central directory, end record) must be byte for byte the one that
   we write.

So each byte of an accepted file was compared, and for each manifest and set of signatures exactly one file is accepted.
Nothing is looked up through the archive's own directory, so there is nothing in it to lie with.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from shoestring.base import canonical
from shoestring.base.limits import MAX_ENVELOPE_BYTES, MAX_MANIFEST_BYTES, MAX_MANIFEST_VALUES
from shoestring.bundle.envelope import parse_envelope
from shoestring.bundle.layout import (
    MANIFEST_NAME,
    MAX_TOTAL_BYTES,
    SIGNATURES_NAME,
    Entry,
    blob_name,
    claimed_entry,
    directory,
    entry_bytes,
    local_header,
    local_header_bytes,
    total_bytes,
)
from shoestring.bundle.refusal import refuse
from shoestring.bundle.rules import check_manifest, refuse_format
from shoestring.bundle.stored import CHUNK_BYTES, arrange_back, entry_of, expand, stored_bytes, stored_sha256
from shoestring.domain.manifest import FORMAT, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shoestring.domain.manifest import Blob, Stored
    from shoestring.trust.dsse import Envelope


@dataclass(frozen=True)
class Verified:
    """What is known of a file once every byte was compared.

    Args:
        manifest: of the bundle.
        offsets: where each blob's content begins, by SHA-256.
        crcs: what each blob's record says, by SHA-256.
        sha256: of the whole file.
        envelope: of its signatures, in form; None: it is not signed.
    """

    manifest: Manifest
    offsets: Mapping[str, int]
    crcs: Mapping[str, int]
    sha256: str
    envelope: Envelope | None = None


class _Tape:
    """Reads forward, hashes what it reads, and knows where it is."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hasher = hashlib.sha256()
        self.position = 0

    def take(self, count: int, what: str) -> bytes:
        """Exactly the next `count` bytes; `count` was checked against a limit before."""
        data = self._stream.read(count)
        if len(data) != count:
            raise refuse(f"it ends at byte {self.position + len(data)}, inside {what}")
        self._hasher.update(data)
        self.position += count
        return data

    def chunks(self, count: int, what: str) -> Iterator[bytes]:
        """The next `count` bytes, a chunk at a time."""
        while count > 0:
            chunk = self.take(min(count, CHUNK_BYTES), what)
            count -= len(chunk)
            yield chunk

    def again(self, begin: int, count: int, what: str) -> Iterator[bytes]:
        """The `count` bytes from `begin` on, which are the last ones taken; they are not hashed another time."""
        self._stream.seek(begin)
        while count > 0:
            chunk = self._stream.read(min(count, CHUNK_BYTES))
            if not chunk:
                raise refuse(f"it was cut inside {what} while it was read")
            count -= len(chunk)
            yield chunk

    def sha256(self) -> str:
        return self._hasher.hexdigest()


def verify(stream: BinaryIO, size_bytes: int) -> Verified:
    """Read a whole bundle and compare every byte of it.

    Args:
        stream: at the first byte.
        size_bytes: of the file.

    Raises:
        BundleError: anything is not as `pack` would have written it; the message says what.
    """
    if size_bytes > MAX_TOTAL_BYTES:
        raise refuse(f"it has {size_bytes} bytes, the limit is {MAX_TOTAL_BYTES}")
    tape = _Tape(stream)
    manifest, first, text = _take_manifest(tape)
    sizes = [(blob_name(blob.sha256), stored_bytes(blob)) for blob in manifest.blobs]
    expected = total_bytes([(MANIFEST_NAME, first.size_bytes), *sizes])
    envelope_bytes = size_bytes - expected - entry_bytes(SIGNATURES_NAME, 0)
    if size_bytes != expected and not 0 < envelope_bytes <= MAX_ENVELOPE_BYTES:
        raise refuse(f"it has {size_bytes} bytes, its manifest describes a file of {expected}")
    entries, offsets, crcs = [first], {}, {}
    for blob in manifest.blobs:
        offsets[blob.sha256] = tape.position + local_header_bytes(blob_name(blob.sha256))
        entry = _take_blob(tape, blob)
        entries.append(entry)
        crcs[blob.sha256] = entry.crc32
    envelope = None
    if size_bytes != expected:
        envelope, entry = _take_envelope(tape, envelope_bytes, manifest, text)
        entries.append(entry)
    end = directory(entries)
    if tape.take(len(end), "the archive's directory") != end:
        raise refuse("the archive's directory is not the one that belongs to these entries")
    if stream.read(1):
        raise refuse("it grew while it was read")
    return Verified(manifest, offsets, crcs, tape.sha256(), envelope)


def _take_manifest(tape: _Tape) -> tuple[Manifest, Entry, bytes]:
    header = tape.take(local_header_bytes(MANIFEST_NAME), "the first record")
    entry = claimed_entry(header, MANIFEST_NAME)
    if header != local_header(entry):
        raise refuse(f"it does not begin with a plain record of {MANIFEST_NAME}")
    if entry.size_bytes > MAX_MANIFEST_BYTES:
        raise refuse(f"its manifest has {entry.size_bytes} bytes, the limit is {MAX_MANIFEST_BYTES}")
    text = tape.take(entry.size_bytes, "the manifest")
    if zlib.crc32(text) != entry.crc32:
        raise refuse("the manifest does not have its checksum")
    manifest = parse_manifest(text)
    return manifest, entry, text


def parse_manifest(text: bytes) -> Manifest:
    """The manifest in `text`, held against every rule.

    Args:
        text: at most MAX_MANIFEST_BYTES.

    Raises:
        BundleError: it is not canonical JSON of the closed schema, of another format, or breaks a rule.
    """
    values = sum(text.count(mark) for mark in (b",", b":", b"[", b"{"))
    if values > MAX_MANIFEST_VALUES:
        raise refuse(f"its manifest holds {values} values, the limit is {MAX_MANIFEST_VALUES}")
    _check_format(text)
    manifest = canonical.decode(text, Manifest, lambda reason: refuse(f"manifest: {reason}"))
    check_manifest(manifest)
    return manifest


def _take_envelope(tape: _Tape, size: int, manifest: Manifest, text: bytes) -> tuple[Envelope, Entry]:
    header = tape.take(local_header_bytes(SIGNATURES_NAME), f"the record of {SIGNATURES_NAME}")
    data = tape.take(size, SIGNATURES_NAME)
    entry = Entry(SIGNATURES_NAME, size, zlib.crc32(data))
    if header != local_header(entry):
        raise refuse(f"what follows its last blob is no plain record of {SIGNATURES_NAME}")
    return parse_envelope(data, manifest, text), entry


class _Peek(msgspec.Struct):
    """Any manifest, of whatever format."""

    format: int


def _check_format(text: bytes) -> None:
    """Name another format before its keys are found odd. What is no manifest at all is for the parser to refuse."""
    try:
        peek: _Peek = msgspec.json.decode(text, type=_Peek)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    if peek.format != FORMAT:
        raise refuse_format(peek.format)


def _take_blob(tape: _Tape, blob: Blob) -> Entry:
    name = blob_name(blob.sha256)
    header = tape.take(local_header_bytes(name), f"the record of {name}")
    begin, crc, hasher = tape.position, 0, hashlib.sha256()
    for chunk in tape.chunks(stored_bytes(blob), name):
        crc = zlib.crc32(chunk, crc)
        hasher.update(chunk)
    if hasher.hexdigest() != stored_sha256(blob):
        raise refuse(f"{name} does not have its hash: its bytes have {hasher.hexdigest()}")
    if blob.stored is not None:
        # A decompressor is code that a hostile file could aim at: it gets only what the manifest names by hash.
        crc = _check_content(tape, begin, blob, blob.stored)
    entry = entry_of(blob, crc)
    if header != local_header(entry):
        raise refuse(f"the record of {name} is not the one that belongs to its content")
    return entry


def _check_content(tape: _Tape, begin: int, blob: Blob, stored: Stored) -> int:
    """Hold the expanded blob against its size and hash; returns the checksum that its record must have."""
    name, hasher, crc = blob_name(blob.sha256), hashlib.sha256(), 0

    def plain() -> Iterator[bytes]:
        nonlocal crc
        for chunk in expand(tape.again(begin, stored.size_bytes, name), blob.size_bytes, name):
            crc = zlib.crc32(chunk, crc)
            yield chunk

    for chunk in arrange_back(stored.encoding, plain()):
        hasher.update(chunk)
    if hasher.hexdigest() != blob.sha256:
        raise refuse(f"{name} does not have its hash: its content has {hasher.hexdigest()}")
    return crc
