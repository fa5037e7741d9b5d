"""A file that is written into where it stands, by a closed process, which may make no other beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from shoestring.base.disk import kernel
from shoestring.base.disk.refusal import storage_errors


def fill(path: Path, data: bytes) -> None:
    """Write `data` into `path` itself; what was there is gone.

    It does not last by itself: the caller of the closed process reads what came out of it and stores that.

    Raises:
        StorageError: the file may not be written, or the disk is full.
    """
    fill_from(path, (data,))


def fill_from(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """As `fill`, with data that come piece by piece, so that no more than one is in memory.

    Raises:
        StorageError: as `fill`.
    """
    path = Path(path)
    with storage_errors(path), kernel.opened(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
        place = 0
        for piece in pieces:
            left = memoryview(piece)
            while left:
                taken = kernel.current().write(descriptor, left, place)
                left, place = left[taken:], place + taken
