"""A file of weights, opened to read its header: how large it is comes from the open file, and is held to the limit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_WEIGHTS_FILE_BYTES
from shoestring.base.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shoestring.domain.weights import WeightsFile


def read_with(reader: Callable[[BinaryIO, int], WeightsFile], path: Path) -> WeightsFile:
    """What `reader` makes of the stream of `path` and its size. Raises ModelError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return reader(stream, os.fstat(stream.fileno()).st_size)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error


def check_size(size_bytes: int) -> None:
    """Raises ModelError for a file that no board we serve could run."""
    if size_bytes > MAX_WEIGHTS_FILE_BYTES:
        raise ModelError(
            f"the file has {format_bytes(size_bytes)}, more than the limit of {format_bytes(MAX_WEIGHTS_FILE_BYTES)}",
            hint="a model of this size does not run on the boards we serve",
        )
