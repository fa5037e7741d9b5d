"""Make a delta: what a device that holds one bundle needs to have another."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring._version import __version__
from shoestring.base import canonical, disk
from shoestring.base.limits import MAX_PATCHED_BYTES
from shoestring.bundle.delta_file import PATCH, STORED, head_bytes
from shoestring.bundle.opening import open_bundle
from shoestring.bundle.similar import Sketch, most_similar, sketch
from shoestring.bundle.sizes import roles
from shoestring.bundle.steps import apply_steps, make_steps
from shoestring.bundle.stored import packed, stored_bytes, stored_sha256
from shoestring.domain.delta import DELTA_FORMAT, Delta, Part

if TYPE_CHECKING:
    from shoestring.bundle.opening import Bundle
    from shoestring.domain.manifest import Blob, Manifest


@dataclass(frozen=True)
class Sent:
    """What one file of the new bundle costs in the delta.

    Args:
        what: its part in the bundle, for people.
        how: `unchanged`, `patch`, `whole`.
        stored_bytes: in the new bundle.
        sent_bytes: in the delta.
    """

    what: str
    how: str
    stored_bytes: int
    sent_bytes: int


@dataclass(frozen=True)
class Made:
    """A delta that was written.

    Args:
        old_bytes, new_bytes: of the bundles.
        delta_bytes: of the delta.
        files: manifest first, then blobs in the order of the new bundle.
    """

    old_bytes: int
    new_bytes: int
    delta_bytes: int
    files: tuple[Sent, ...]


def make_delta(old: Path, new: Path, out: Path) -> Made:
    """Write the delta from one bundle to another, whole or not at all.

    A blob that both hold is not sent. Another one is sent as the smallest of: steps from the most similar old blob,
    steps from nothing, its stored bytes.

    Args:
        old: bundle that devices hold.
        new: bundle that they should have.
        out: delta to write.

    Raises:
        BundleError: one of the bundles is not sound.
        MissingExtraError: bsdiff4 is not installed.
        StorageError: a bundle cannot be read, or the delta not be written.
    """
    with open_bundle(old) as before, open_bundle(new) as after:
        maker = _Maker(before, after)
        text = canonical.encode(after.manifest)
        parts = [maker.manifest(text)]
        held = frozenset(before.manifest.blobs)  # in the same form: equal bytes in the file
        parts += [maker.blob(blob) for blob in after.manifest.blobs if blob not in held]
        delta = Delta(
            format=DELTA_FORMAT,
            created_by=f"shoestring {__version__}",
            zlib=zlib.ZLIB_RUNTIME_VERSION,
            old_sha256=before.sha256,
            new_sha256=after.sha256,
            parts=tuple(part for part, _ in parts),
            signatures=after.signatures or None,
        )
        head, size = head_bytes(delta), 0
        with disk.atomic_file(out) as stream:
            stream.write(head)
            for part, data in parts:
                for chunk in (data,) if data is not None else after.stored_chunks(part.sha256):
                    stream.write(chunk)
            size = stream.tell()
        files = _sent(after.manifest, text, {part.sha256: part for part, _ in parts})
        return Made(Path(old).stat().st_size, Path(new).stat().st_size, size, files)


class _Maker:
    def __init__(self, old: Bundle, new: Bundle) -> None:
        self._old, self._new = old, new
        self._old_roles = {what: sha256 for sha256, what in roles(old.manifest).items()}
        self._new_roles = roles(new.manifest)
        self._sketches: dict[str, Sketch] | None = None

    def manifest(self, text: bytes) -> tuple[Part, bytes | None]:
        old = canonical.encode(self._old.manifest)
        options = [(None, make_steps(b"", text)), (canonical.sha256_hex(old), make_steps(old, text))]
        base, data = min(options, key=lambda option: len(option[1]))
        return _patch(text, base, zlib.crc32(text), data), data

    def blob(self, blob: Blob) -> tuple[Part, bytes | None]:
        crc = self._new.crcs[blob.sha256]
        whole = Part(blob.sha256, STORED, None, blob.size_bytes, crc, stored_bytes(blob), stored_sha256(blob))
        if blob.size_bytes > MAX_PATCHED_BYTES:
            return whole, None
        content = self._new.read(blob.sha256)
        if not _is_ours(blob, content):
            return whole, None
        options: list[tuple[str | None, bytes]] = [(None, make_steps(b"", content))]
        base = self._base(blob, content)
        if base is not None:
            old = self._old.read(base)
            data = make_steps(old, content)
            if apply_steps(old, data, len(content)) == content:
                options.append((base, data))
        base, data = min(options, key=lambda option: len(option[1]))
        if len(data) >= whole.size_bytes:
            return whole, None
        return _patch(content, base, crc, data), data

    def _base(self, blob: Blob, content: bytes) -> str | None:
        """The old blob to start from: this one in another form, the most similar, or the one in the same part."""
        sizes = {other.sha256: other.size_bytes for other in self._old.manifest.blobs}
        if blob.sha256 in sizes:
            return blob.sha256
        if self._sketches is None:
            small = (name for name, size in sizes.items() if size <= MAX_PATCHED_BYTES)
            self._sketches = {name: sketch(self._old.read(name)) for name in small}
        role = self._old_roles.get(self._new_roles[blob.sha256])
        return most_similar(content, self._sketches) or (role if role in self._sketches else None)


def _is_ours(blob: Blob, content: bytes) -> bool:
    """Whether this zlib makes the stored form from the content, as the device will have to."""
    return canonical.sha256_hex(b"".join(packed(blob, (content,)))) == stored_sha256(blob)


def _patch(content: bytes, base: str | None, crc32: int, data: bytes) -> Part:
    sha256, data_sha256 = canonical.sha256_hex(content), canonical.sha256_hex(data)
    return Part(sha256, PATCH, base, len(content), crc32, len(data), data_sha256)


def _sent(manifest: Manifest, text: bytes, parts: dict[str, Part]) -> tuple[Sent, ...]:
    names = roles(manifest)
    files = [("manifest", canonical.sha256_hex(text), len(text))]
    files += [(names[blob.sha256], blob.sha256, stored_bytes(blob)) for blob in manifest.blobs]
    found = []
    for what, sha256, size in files:
        part = parts.get(sha256)
        how = "unchanged" if part is None else "whole" if part.base is None else "patch"
        found.append(Sent(what, how, size, 0 if part is None else part.size_bytes))
    return tuple(found)
