"""A small TOML file that a user wrote."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def read_toml(path: Path, most_bytes: int, error: Callable[[str], DataError]) -> dict[str, Any]:
    """What the file holds.

    Args:
        path: of the file.
        most_bytes: that it may have.
        error: makes the error of a message, with the file's name and a hint.

    Raises:
        DataError: it cannot be read, is longer than that, or is not TOML.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(most_bytes + 1)
    except OSError as failure:
        raise error(f"cannot be read: {failure.strerror or failure}") from failure
    if len(data) > most_bytes:
        raise error(f"is longer than the limit of {most_bytes} bytes")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise error(f"is not TOML: {failure}") from failure
