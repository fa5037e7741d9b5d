"""Apply a delta on a device: the new bundle appears whole and verified, or not at all.

1. The old bundle is opened, so verified, and must be the one that the delta was made for.
2. The header must be canonical JSON of its closed schema, and describe a file of exactly this length.
3. The new manifest is made first, of at most MAX_MANIFEST_BYTES, and must keep every rule of a manifest.
4. Every blob of it is one that the old bundle holds in the same form, or one part; nothing else may be sent.
5. A part's data are hashed before they are expanded; what they give is held against the new manifest.
6. The signatures that the delta names are put into their one form, with the statement that follows from the manifest.
7. The new file is read again from its first byte, as every bundle is, and must have the hash that the delta promises.
   Only then it takes its place.

Memory: the largest patched blob three times, its old content, its data, and 16 MiB to expand; none of them larger than
MAX_PATCHED_BYTES.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import canonical, disk
from shoestring.base.errors import BundleError, StorageError
from shoestring.base.limits import MAX_MANIFEST_BYTES, MAX_PATCHED_BYTES
from shoestring.bundle.delta_file import PATCH, DeltaReader
from shoestring.bundle.envelope import envelope_bytes
from shoestring.bundle.opening import open_bundle, open_regular
from shoestring.bundle.packing import write_archive
from shoestring.bundle.refusal import refuse_delta
from shoestring.bundle.steps import apply_steps
from shoestring.bundle.stored import packed, stored_bytes, stored_sha256
from shoestring.bundle.verifying import parse_manifest, verify

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shoestring.bundle.opening import Bundle
    from shoestring.domain.delta import Part
    from shoestring.domain.manifest import Blob, Manifest

MAX_GROWTH_BYTES = 65_536  # steps of noise are longer than the noise


def apply_delta(old: Path, delta: Path, out: Path) -> str:
    """Write the new bundle, whole or not at all.

    Args:
        old: bundle that the delta was made for.
        delta: from anywhere.
        out: bundle to write; it may be `old`.

    Returns:
        SHA-256 of the new bundle.

    Raises:
        BundleError: the old bundle or the delta is not sound, they do not belong together, or the result is not the
            bundle that was promised.
        StorageError: a file cannot be read, or the new bundle not be written.
    """
    delta = Path(delta)
    with open_bundle(old) as before, open_regular(delta) as stream:
        try:
            return _apply(before, DeltaReader(stream), Path(out))
        except OSError as error:
            raise StorageError(f"cannot read {delta}: {error.strerror or error}", hint="check the path") from error


def _apply(old: Bundle, reader: DeltaReader, out: Path) -> str:
    delta = reader.delta
    if delta.old_sha256 != old.sha256:
        raise BundleError(
            f"the delta is for the bundle with SHA-256 {delta.old_sha256}, {old.path} has {old.sha256}",
            hint="use the bundle that it was made for, or fetch the whole new one",
        )
    manifest, text = _manifest(old, reader)
    parts = {part.sha256: part for part in delta.parts[1:]}
    held = {blob.sha256: blob for blob in old.manifest.blobs}
    missing = {blob.sha256 for blob in manifest.blobs if held.get(blob.sha256) != blob}
    if parts.keys() != missing:
        odd = sorted(parts.keys() ^ missing)[0]
        raise refuse_delta(f"blob {odd} is {'sent without need' if odd in parts else 'neither held nor sent'}")

    def stored(blob: Blob) -> Iterable[bytes]:
        part = parts.get(blob.sha256)
        return old.stored_chunks(blob.sha256) if part is None else _sent(old, held, reader, blob, part)

    crcs = {**old.crcs, **{part.sha256: part.crc32 for part in delta.parts}}
    with disk.atomic_file(out) as stream:
        envelope = envelope_bytes(manifest, text, delta.signatures or ())
        write_archive(stream, manifest, text, crcs, stored, envelope)
        size = stream.tell()
        stream.seek(0)
        made = verify(stream, size).sha256
        if made != delta.new_sha256:
            raise refuse_delta(f"it gives the bundle {made}, not {delta.new_sha256} as promised")
    return made


def _manifest(old: Bundle, reader: DeltaReader) -> tuple[Manifest, bytes]:
    part = reader.delta.parts[0]
    if part.kind != PATCH:
        raise refuse_delta("its first part is no patch of the manifest")
    base = b""
    if part.base is not None:
        base = canonical.encode(old.manifest)
        if part.base != canonical.sha256_hex(base):
            raise refuse_delta(f"the manifest starts from {part.base}, which is not the old manifest")
    if part.content_bytes > MAX_MANIFEST_BYTES:
        raise refuse_delta(f"its manifest has {part.content_bytes} bytes, the limit is {MAX_MANIFEST_BYTES}")
    text = apply_steps(base, reader.read(part, MAX_MANIFEST_BYTES), part.content_bytes)
    if canonical.sha256_hex(text) != part.sha256:
        raise refuse_delta("the manifest does not have its hash once it is patched")
    return parse_manifest(text), text


def _sent(old: Bundle, held: Mapping[str, Blob], reader: DeltaReader, blob: Blob, part: Part) -> Iterable[bytes]:
    """Stored bytes of a blob that the delta brings."""
    if part.content_bytes != blob.size_bytes:
        raise refuse_delta(f"blob {blob.sha256} is sent with {part.content_bytes} bytes, it has {blob.size_bytes}")
    if part.kind != PATCH:
        if (part.size_bytes, part.data_sha256) != (stored_bytes(blob), stored_sha256(blob)):
            raise refuse_delta(f"blob {blob.sha256} is sent in another form than the manifest's")
        return reader.chunks(part)
    if blob.size_bytes > MAX_PATCHED_BYTES:
        raise refuse_delta(f"a patched blob has {blob.size_bytes} bytes, the limit is {MAX_PATCHED_BYTES}")
    if part.base is not None and (part.base not in held or held[part.base].size_bytes > MAX_PATCHED_BYTES):
        raise refuse_delta(f"blob {blob.sha256} starts from {part.base}, which is too large or not in the old bundle")
    base = b"" if part.base is None else old.read(part.base)
    data = reader.read(part, blob.size_bytes + MAX_GROWTH_BYTES)
    content = apply_steps(base, data, blob.size_bytes)
    if canonical.sha256_hex(content) != blob.sha256:
        raise refuse_delta(f"blob {blob.sha256} does not have its hash once it is patched")
    form = b"".join(packed(blob, (content,)))
    if canonical.sha256_hex(form) != stored_sha256(blob):
        raise BundleError(
            f"blob {blob.sha256} was patched, but zlib {zlib.ZLIB_RUNTIME_VERSION} of this Python stores it otherwise "
            f"than zlib {reader.delta.zlib} that made the delta",
            hint="fetch the whole bundle, or use a Python with that zlib",
        )
    return (form,)
