"""One at a time, between processes: flock(2) on a directory, which needs no file to be written."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from shoestring.base.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def alone(directory: Path, *, wait: bool, busy: str = "") -> Iterator[None]:
    """Hold the lock of a directory; the kernel lets go of it when the process ends in any way.

    Args:
        directory: that exists.
        wait: for who holds it, or refuse at once.
        busy: what is said then.

    Raises:
        StorageError: somebody else holds it, or the directory cannot be opened.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageError(f"cannot open {directory}: {error.strerror or error}", hint="check the path") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise StorageError(busy, hint="wait for its end") from None
        except OSError as error:
            raise StorageError(f"cannot lock {directory}: {error.strerror or error}") from error
        yield
    finally:
        os.close(descriptor)
