"""One process at a time: locks that the operating system takes back when their process dies (flock(2))."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base.disk import kernel
from shoestring.base.disk.refusal import storage_errors
from shoestring.base.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path` within the block; it is made when it is missing, and stays.

    Args:
        path: of the lock file, which holds nothing.
        wait: until whoever holds it lets go; otherwise refuse at once.

    Raises:
        StorageError: another process holds it, or the disk refuses or cannot lock.
    """
    path = Path(path)
    with contextlib.ExitStack() as held:
        with storage_errors(path):
            try:
                descriptor = held.enter_context(kernel.opened(path, os.O_RDWR | os.O_CREAT))
                kernel.current().lock(descriptor, wait=wait)
            except BlockingIOError:
                raise StorageError(
                    f"{path} is held by another process", hint="wait until it is done, or end it"
                ) from None
        yield


def hold(descriptor: int, *, wait: bool) -> bool:
    """Hold an open file until it is closed.

    Returns:
        False on a file system without locks.

    Raises:
        OSError: BlockingIOError among them, when another has it and we do not wait.
    """
    try:
        kernel.current().lock(descriptor, wait=wait)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True
