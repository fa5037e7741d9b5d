"""A rung's model as a file: llama.cpp maps its weights from a path of their own.

A file is named by the hash of its content and lies in the cache. Each time it is asked for, every byte is hashed again,
so that a file somebody wrote to is made anew from the bundle instead of being trusted.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.cache import default_root
from shoestring.base.limits import GIB, MIB
from shoestring.bundle.refusal import refuse
from shoestring.bundle.stored import unpacked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from shoestring.bundle import Bundle

ROOM, SUFFIX = "models", ".gguf"
MAX_KEPT_BYTES = 6 * GIB  # the files of the largest bundle, and half as much of those before it
_CHUNK_BYTES = MIB


def model_file(bundle: Bundle, sha256: str, folder: Path | None = None) -> Path:
    """The file of one rung, made from the bundle if it is not there or is not what it was.

    Args:
        bundle: open.
        sha256: of the model, as the candidate has it.
        folder: that files are kept in; None: `models` in the user's cache.

    Returns:
        Path of a file whose bytes were hashed just now.

    Raises:
        BundleError: the bundle has no such blob, or was changed after it was opened.
        StorageError: the disk refuses.
    """
    room = disk.make_directory(default_root() / ROOM if folder is None else folder)
    path = room / f"{sha256}{SUFFIX}"
    if hash_of(path) == sha256:
        return path
    disk.sweep(room)
    _make_room(bundle, room)
    hasher = hashlib.sha256()
    blob = next((blob for blob in bundle.manifest.blobs if blob.sha256 == sha256), None)
    if blob is None:
        raise refuse(f"it has no blob {sha256!r}")
    with disk.atomic_file(path, mode=0o600) as stream:
        for chunk in unpacked(blob, bundle.stored_chunks(sha256)):
            hasher.update(chunk)
            stream.write(chunk)
        if hasher.hexdigest() != sha256:
            raise refuse(f"blob {sha256} changed after the bundle was opened")
    return path


def hash_of(path: Path) -> str | None:
    """SHA-256 of a regular file; None where there is none, or none that can be read."""
    hasher = hashlib.sha256()
    try:
        if path.is_symlink() or not path.is_file():
            return None
        with path.open("rb", buffering=0) as stream:
            buffer = bytearray(_CHUNK_BYTES)
            view = memoryview(buffer)
            while read := stream.readinto(buffer):
                hasher.update(view[:read])
    except OSError:
        return None
    return hasher.hexdigest()


def _make_room(bundle: Bundle, room: Path) -> None:
    """Remove files of other bundles, the oldest first, while all are more than may be kept."""
    ours = {f"{rung.candidate.artefact_sha256}{SUFFIX}" for rung in bundle.manifest.ladder.runnable}
    sizes = {blob.sha256: blob.size_bytes for blob in bundle.manifest.blobs}
    needed = sum(sizes[name.removesuffix(SUFFIX)] for name in ours)
    others = list(_others(room, ours))
    kept = needed + sum(size for _, size, _ in others)
    for _, size, path in sorted(others):
        if kept <= MAX_KEPT_BYTES:
            return
        with contextlib.suppress(FileNotFoundError):
            disk.remove(path)
        kept -= size


def _others(room: Path, ours: Collection[str]) -> Iterator[tuple[float, int, Path]]:
    """When it was made, size and path, of each file of other bundles."""
    for path in room.glob(f"*{SUFFIX}"):
        if path.name not in ours:
            with contextlib.suppress(FileNotFoundError):
                found = path.lstat()
                yield found.st_mtime, found.st_size, path


__all__ = ["MAX_KEPT_BYTES", "hash_of", "model_file"]
