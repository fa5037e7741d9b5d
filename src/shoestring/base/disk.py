"""The one module that writes to disk.

A file appears whole or not at all: write beside the target, fsync, rename, fsync the directory. kill -9 and a power cut
leave either the old file or the new one (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from shoestring.base.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError about `path` into a StorageError that names it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"cannot write {path}: {reason}", hint="free some space, or write to another directory"
        ) from error


@contextlib.contextmanager
def atomic_file(path: Path, *, secret: bool = False) -> Iterator[BinaryIO]:
    """Open a stream whose content becomes `path` when the block ends without an error; what was written can be read.

    On any error, Ctrl-C included, `path` is as it was and no temporary file stays.

    Args:
        path: of the file.
        secret: for its owner alone from the first byte on, and never in the place of another file.

    Raises:
        StorageError: the directory is missing, the disk is full or read-only.
    """
    path = Path(path)
    with storage_errors(path):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with storage_errors(path), os.fdopen(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        with storage_errors(path):
            if secret:
                path.hardlink_to(temporary)  # unlike a rename, it fails where there is something already
                temporary.unlink()
            else:
                temporary.chmod(0o666 & ~_umask())
                temporary.replace(path)
            _sync_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all. Raises StorageError."""
    with atomic_file(path) as stream:
        stream.write(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all. Raises StorageError."""
    write_bytes(path, text.encode())


def append_bytes(path: Path, data: bytes) -> None:
    """Add `data` to the end of `path`, on the disk when this returns; a power cut leaves some first part of it.

    Raises:
        StorageError: the directory is missing, the disk is full or read-only.
    """
    path = Path(path)
    with storage_errors(path):
        new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            _sync_directory(path.parent)


def put_aside(path: Path, aside: Path) -> None:
    """Rename `path` to `aside`, in the same directory, over what was there. Raises StorageError."""
    with storage_errors(aside):
        path.replace(aside)
        _sync_directory(aside.parent)


def remove(path: Path) -> None:
    """Remove a file, gone from the disk when this returns; a missing one is fine. Raises StorageError."""
    path = Path(path)
    with storage_errors(path):
        if os.path.lexists(path):
            path.unlink()
            _sync_directory(path.parent)


def make_directory(path: Path) -> Path:
    """Create `path` and its parents; it may exist. Raises StorageError."""
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """The process's umask; the kernel only tells it by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
