"""A file that appears whole or not at all: write beside the target, sync, rename, sync the directory."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from shoestring.base.disk import kernel
from shoestring.base.disk.locking import hold
from shoestring.base.disk.naming import sync_directory
from shoestring.base.disk.refusal import storage_errors
from shoestring.base.disk.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

BUFFER_BYTES = 256 * 1024  # few calls for a large file, and little memory on a board with 512 MB
_SHOWN = 50  # characters of the target's name in the temporary one: names may take 255 bytes, a character 4
_TEMPORARY = re.compile(r"\..+\.[0-9a-z_]{8,16}\.part", re.DOTALL)


@contextlib.contextmanager
def atomic_file(path: Path, *, mode: int = 0o666, secret: bool = False) -> Iterator[BinaryIO]:
    """Open a stream whose content becomes `path` when the block ends without an error; what was written can be read.

    On any error, Ctrl-C included, `path` is as it was and no temporary file stays. An fsync that failed is not tried
    again: the kernel may have dropped the bytes and call the next one a success.

    Args:
        path: in a directory that exists.
        mode: permissions, narrowed by the umask.
        secret: for its owner alone from the first byte on, and never in the place of another file.

    Raises:
        StorageError: the directory is missing, the disk is full or read-only; of a secret, something has its name.
    """
    path = Path(path)
    with storage_errors(path):
        temporary, stream = _beside(path, 0o600 if secret else mode)
    renamed = False
    try:
        with storage_errors(path):
            with io.BufferedRandom(stream, BUFFER_BYTES) as buffered:
                try:
                    yield cast("BinaryIO", buffered)
                    buffered.flush()
                    stream.sync()
                    # Before the stream is closed: its lock tells `sweep` that the file is somebody's.
                    if secret:
                        kernel.current().link(temporary, path)  # unlike a rename, it fails where there is something
                        kernel.current().unlink(temporary)
                    else:
                        kernel.current().rename(temporary, path)
                    renamed = True
                except BaseException:
                    stream.give_up()
                    raise
            sync_directory(path.parent)
    except BaseException:
        if not renamed:
            with contextlib.suppress(OSError):
                kernel.current().unlink(temporary)
        raise


def write_bytes(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write `data` to `path`, whole or not at all; `mode` as in `atomic_file`. Raises StorageError."""
    with atomic_file(path, mode=mode) as stream:
        stream.write(data)


def write_text(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all; `mode` as in `atomic_file`. Raises StorageError."""
    write_bytes(path, text.encode(), mode=mode)


def copy(source: Path, target: Path, *, mode: int = 0o666) -> None:
    """Write the bytes of the file `source` to `target`, whole or not at all; `mode` as in `atomic_file`.

    Raises:
        StorageError: the source cannot be read, or the disk refuses.
    """
    source = Path(source)
    with storage_errors(target), kernel.opened(source, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
        place = 0
        with atomic_file(target, mode=mode) as stream:
            while part := kernel.current().read(descriptor, BUFFER_BYTES, place):
                stream.write(part)
                place += len(part)


def sweep(directory: Path) -> int:
    """Remove temporary files of writers that were killed or lost their power; those of living ones stay.

    Returns:
        How many were removed.

    Raises:
        StorageError: the directory is missing, or the disk refuses.
    """
    directory, removed = Path(directory), 0
    with storage_errors(directory):
        for name in kernel.current().names(directory):
            if _TEMPORARY.fullmatch(name) and _abandoned(directory / name):
                with contextlib.suppress(FileNotFoundError):
                    kernel.current().unlink(directory / name)
                removed += 1
        if removed:
            sync_directory(directory)
    return removed


def _beside(path: Path, mode: int) -> tuple[Path, Stream]:
    """A new file in the directory of `path`, locked, with a name that nobody has."""
    while True:
        temporary = path.with_name(f".{path.name[:_SHOWN]}.{secrets.token_hex(8)}.part")
        try:
            stream = Stream(kernel.current().open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode))
        except FileExistsError:
            continue
        try:
            if _locked(stream):
                return temporary, stream
        except BaseException:
            with contextlib.suppress(OSError):
                stream.close()
            with contextlib.suppress(OSError):
                kernel.current().unlink(temporary)
            raise
        stream.close()


def _locked(stream: Stream) -> bool:
    """Hold the file; False when a sweep took it for an abandoned one before that."""
    stream.lock()  # on a file system without locks no sweep can lock either, and none removes anything
    return stream.links() > 0


def _abandoned(path: Path) -> bool:
    """Whether no writer holds the file."""
    try:
        with kernel.opened(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK) as descriptor:
            return stat.S_ISREG(kernel.current().status(descriptor).st_mode) and hold(descriptor, wait=False)
    except (FileNotFoundError, BlockingIOError):
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link, which no writer made
            return False
        raise
