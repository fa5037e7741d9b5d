"""Bring a file into a slot: room first, then every byte, and the disk has them when this returns."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.errors import SlotError, StorageError
from shoestring.base.limits import MIB
from shoestring.base.units import format_bytes
from shoestring.bundle.layout import MAX_TOTAL_BYTES
from shoestring.bundle.opening import open_regular

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_BYTES = MIB
MARGIN_BYTES = 16 * MIB
"""That stay free beside the bundle: the record, the agent's own files, the system's log."""


def check_space(root: Path, size_bytes: int, target: Path) -> None:
    """Whether the bundle fits once the file that it takes the place of is gone.

    Raises:
        SlotError: it does not, with the figures.
        StorageError: the file system does not say.
    """
    try:
        system = os.statvfs(root)
        held = target.stat().st_blocks * 512 if target.exists() else 0  # st_blocks counts these, see stat(2)
    except OSError as error:
        raise StorageError(f"cannot look at {root}: {error.strerror or error}", hint="check the path") from error
    free = system.f_bavail * system.f_frsize + held
    if free < size_bytes + MARGIN_BYTES:
        raise SlotError(
            f"{root} has {format_bytes(free)} of room, the bundle takes {format_bytes(size_bytes)} and "
            f"{format_bytes(MARGIN_BYTES)} must stay free",
            "space",
            hint="free some space on that file system",
        )


def size_of(source: Path) -> int:
    """Of a regular file, bytes. Raises BundleError, StorageError, SlotError for more than a bundle may have."""
    with open_regular(source) as stream:
        size = os.fstat(stream.fileno()).st_size
    if size > MAX_TOTAL_BYTES:
        raise SlotError(f"{source} has {size} bytes, the limit is {MAX_TOTAL_BYTES}", "hash")
    return size


def sha256_of(source: Path) -> str:
    """Of a file's bytes as they are now. Raises BundleError, StorageError."""
    digest = hashlib.sha256()
    with open_regular(source) as stream:
        try:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
        except OSError as error:
            raise StorageError(f"cannot read {source}: {error.strerror or error}", hint="check the path") from error
    return digest.hexdigest()


def copy_in(source: Path, target: Path, size_bytes: int) -> None:
    """Copy at most `size_bytes`, whole or not at all; a file that grew meanwhile is cut, and then has no sound hash.

    Raises:
        BundleError: the source is no regular file.
        StorageError: it cannot be read, or the target not be written.
    """
    with open_regular(source) as stream, disk.atomic_file(target) as out:
        left = size_bytes
        while left > 0 and (chunk := stream.read(min(left, CHUNK_BYTES))):
            out.write(chunk)
            left -= len(chunk)


__all__ = ["MARGIN_BYTES", "check_space", "copy_in", "sha256_of", "size_of"]
