"""Reading and writing whole files inside a child process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from shoestring.base import disk
from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_MODEL_BYTES
from shoestring.base.units import format_bytes
from shoestring.importers.infer import first_line
from shoestring.importers.require import EncodeError


def read_limited(path: Path) -> bytes:
    """The whole of a file.

    Raises:
        ModelError: it cannot be read, or is larger than a model may be.
    """
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            data = stream.read(min(size, MAX_MODEL_BYTES))  # reading allocates what is asked for, not what is there
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error
    if size > MAX_MODEL_BYTES:
        raise ModelError(
            f"{path} has {format_bytes(size)}, more than the limit of {format_bytes(MAX_MODEL_BYTES)}",
            hint="a model of this size does not run on the boards we serve",
        )
    return data


def write_onnx(model: Any, target: Path) -> None:
    """Write a model; the same one always gives the same bytes.

    Raises:
        ModelError: larger than protobuf can hold.
        StorageError: `target` cannot be written.
    """
    try:
        data = model.SerializeToString(deterministic=True)
    except EncodeError as error:
        raise ModelError(f"as ONNX the model is larger than protobuf can hold: {first_line(error)}") from error
    disk.fill(target, data)
