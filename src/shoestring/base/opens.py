"""The one module that opens paths named by data: inside their root, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from shoestring.base.errors import DataError


def check_relative(name: str) -> PurePosixPath:
    """A plain relative path: no root, no `..`, no drive, no NUL, no backslash, nothing that no file system can hold.

    Raises:
        DataError: anything else.
    """
    path = PurePosixPath(name)
    odd = not name or "\0" in name or "\\" in name or path.is_absolute() or ".." in path.parts or ":" in name
    if odd or path == PurePosixPath(".") or not _writable(name):
        raise DataError(f"path {name!r} is not a plain relative path", hint="name files below the directory itself")
    return path


def _writable(name: str) -> bool:
    """Whether it can be handed to the system: JSON can write half of a surrogate pair."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def open_within(root: Path, name: str) -> BinaryIO:
    """Open the regular file `name` for reading, walking from `root` without following any link.

    Args:
        root: a directory that the user named.
        name: a path below it that data named.

    Raises:
        DataError: the name leaves the root, passes a link, or is not a regular file.
    """
    parts = check_relative(name).parts
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            os.close(directory)
            directory = inner
        descriptor = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot open {name!r} below {root}: {reason}", hint="links are not followed") from error
    finally:
        os.close(directory)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError(f"{name!r} below {root} is not a regular file")
    return os.fdopen(descriptor, "rb")
