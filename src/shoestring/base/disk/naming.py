"""Names on the disk: a directory's entries are safe only when the directory itself was synced.

A rename or a new file that nobody synced the directory for may be lost, or be there before other ones (Pillai et al.,
"All File Systems Are Not Created Equal", OSDI 2014, table 1).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from shoestring.base.disk import kernel
from shoestring.base.disk.refusal import storage_errors

_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EINVAL)
"""Of a directory that was there before: we may not read it, so we put no name in it; or it is not on a disk."""


def sync_directory(path: Path) -> None:
    """Returns when every name in the directory is on the medium. Raises OSError."""
    with kernel.opened(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        kernel.current().sync(descriptor)


def replace(source: Path, target: Path) -> None:
    """Give `source` the name `target`, over what was there; both names and the bytes are safe when this returns.

    A cut leaves the old target or the new one, and the bytes under one of the two names at least.

    Raises:
        StorageError: the source is missing, or on another disk, or the disk refuses.
    """
    source, target = Path(source), Path(target)
    with storage_errors(target):
        with kernel.opened(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK) as descriptor:
            kernel.current().sync(descriptor)  # whoever wrote it may not have
        kernel.current().rename(source, target)
        sync_directory(target.parent)  # first: the old name may only be lost when the new one is safe
        if source.parent != target.parent:
            sync_directory(source.parent)


def put_aside(path: Path, aside: Path) -> None:
    """As `replace`: what was at `aside` is gone. Raises StorageError."""
    replace(path, aside)


def remove(path: Path) -> None:
    """Remove a file; it may be missing. It stays away when this returns.

    Raises:
        StorageError: it is a directory, or the disk refuses.
    """
    path = Path(path)
    with storage_errors(path):
        with contextlib.suppress(FileNotFoundError):
            kernel.current().unlink(path)
        with contextlib.suppress(FileNotFoundError):
            sync_directory(path.parent)  # also of one that was missing: whoever removed it may have been killed here


def make_directory(path: Path) -> Path:
    """Create `path` and its parents; it may exist. It is there after a power cut when this has returned.

    Raises:
        StorageError: a file has the name, or the disk refuses.
    """
    path = Path(path)
    with storage_errors(path):
        found, missing = path, list[Path]()
        while not _is_directory(found):
            missing.append(found)
            found = found.parent
        # Directories are made from the top, each one safe before the next: so only the deepest can be one that a
        # killed process made and did not come to sync.
        try:
            sync_directory(found.parent)
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):
                kernel.current().mkdir(folder)
            sync_directory(folder.parent)
    return path


def _is_directory(path: Path) -> bool:
    """Whether it is there; a link to a directory is one. Raises NotADirectoryError where something else is."""
    try:
        mode = kernel.current().look(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(mode):
        with kernel.opened(path, os.O_RDONLY | os.O_DIRECTORY):
            return True
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return True
