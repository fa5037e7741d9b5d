"""Files of keys: short texts, whose permissions matter."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from shoestring.base.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def read_small(path: Path, limit_bytes: int, error: Callable[[str], Exception]) -> tuple[str, int]:
    """Text and permissions of a file that the user named.

    Args:
        path: of the file.
        limit_bytes: that it may have.
        error: makes the exception to raise from what is wrong with it.

    Raises:
        StorageError: it cannot be read.
    """
    data, mode = read_within(
        path, limit_bytes, lambda: error(f"{path} is longer than {limit_bytes} bytes: it holds no keys")
    )
    try:
        return data.decode("utf-8"), stat.S_IMODE(mode)
    except UnicodeDecodeError:
        raise error(f"{path} is not text: it holds no keys") from None


def read_within(path: Path, limit_bytes: int, too_long: Callable[[], Exception]) -> tuple[bytes, int]:
    """Bytes and mode of a file that the user named; `too_long` makes the exception for one beyond the limit.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            data, mode = stream.read(limit_bytes + 1), os.fstat(stream.fileno()).st_mode
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}", hint="check the path") from error
    if len(data) > limit_bytes:
        raise too_long()
    return data, mode
