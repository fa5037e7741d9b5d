"""Lines added to the end of a file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from shoestring.base.disk import kernel
from shoestring.base.disk.locking import hold
from shoestring.base.disk.naming import sync_directory
from shoestring.base.disk.refusal import storage_errors


def append_bytes(path: Path, data: bytes) -> None:
    """Add `data` to the end of `path`, on the disk when this returns.

    What was there stays. A power cut within leaves the new bytes, some of them, or zeros and rubbish in their place, so
    whoever reads must be able to tell a whole line. After an error they are taken away; a new file may stay, empty.

    Raises:
        StorageError: the directory is missing, the disk is full or read-only.
    """
    path = Path(path)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    with storage_errors(path), kernel.opened(path, flags) as descriptor:
        hold(descriptor, wait=True)  # nobody adds while a failed addition is taken away
        before = kernel.current().status(descriptor).st_size
        if before == 0:
            sync_directory(path.parent)  # first: a file with bytes in it is then one whose name is safe
        try:
            _write_all(descriptor, data, before)
            kernel.current().sync(descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                kernel.current().truncate(descriptor, before)
                kernel.current().sync(descriptor)
            raise


def _write_all(descriptor: int, data: bytes, place: int) -> None:
    left = memoryview(data)
    while left:
        taken = kernel.current().write(descriptor, left, place)
        left, place = left[taken:], place + taken
