"""Which images a model was trained on, as far as it says so: nobody may certify it on those.

`shoestring distill` writes the number and the digest of its training images into the model, and their hashes into a
file beside it. A model whose file of hashes is missing or another one is refused, since then nobody could tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shoestring.base import disk
from shoestring.base.canonical import sha256_hex
from shoestring.base.child import ChildLimits
from shoestring.base.errors import DataError, ModelError
from shoestring.base.limits import IMPORT_MEMORY_BYTES, IMPORT_SECONDS, MAX_IMAGES, MAX_MODEL_BYTES
from shoestring.base.quarantine import Walls
from shoestring.importers.sources import PACKAGES, ask_child

KEY = "shoestring.trained_on"
SUFFIX = ".trained_on"
LINE_BYTES = 65  # 64 hexadecimal digits and the end of the line
_CHILD = "shoestring.importers.trained_on:read_key"


def hashes_path(model: Path) -> Path:
    """Where the hashes of the training images of `model` are kept."""
    return model.with_name(model.name + SUFFIX)


def hashes_text(hashes: Iterable[str]) -> str:
    """The hashes as they are kept: each once, ascending, one a line."""
    return "".join(f"{one}\n" for one in sorted(set(hashes)))


def write_hashes(model: Path, hashes: Iterable[str]) -> None:
    """Keep the hashes of the training images beside `model`. Raises StorageError."""
    disk.write_text(hashes_path(model), hashes_text(hashes))


def mark(proto: Any, hashes: Iterable[str]) -> None:
    """Write the digest of the training images into an ONNX message."""
    item = proto.metadata_props.add()
    item.key, item.value = KEY, sha256_hex(hashes_text(hashes).encode())


def trained_on(model: Path) -> frozenset[str] | None:
    """Hashes of the images that `model` was trained on, as `Dataset.hashes` has them.

    Args:
        model: a model file from anywhere; it is opened in a child process with limits.

    Returns:
        The hashes; None when the model says nothing about it, as no format but ONNX can.

    Raises:
        ModelError: not a readable ONNX file.
        DataError: the model names training images, and the file of their hashes is missing or does not belong to it.
    """
    request = {"source": str(Path(model).absolute())}
    limits, around = ChildLimits(IMPORT_SECONDS, IMPORT_MEMORY_BYTES), Walls((Path(model),), (), packages=PACKAGES)
    wanted = ask_child(_CHILD, Path(model), request, limits, around).result
    if wanted is None:
        return None
    path = hashes_path(Path(model))
    hint = f"keep {path.name} beside the model, or train it again"
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_IMAGES * LINE_BYTES + 1)
    except OSError as error:
        raise DataError(
            f"{model} was trained on images that {path} should name, which cannot be read: {error.strerror}", hint=hint
        ) from error
    if sha256_hex(data) != wanted:
        raise DataError(f"{path} is not the list of images that {model} was trained on", hint=hint)
    lines = data.decode("ascii", "replace").split()
    if not all(re.fullmatch("[0-9a-f]{64}", line) for line in lines):
        raise DataError(f"{path} holds lines that are no hashes", hint=hint)
    return frozenset(lines)


def read_key(request: dict[str, str]) -> str | None:
    """The inside of the child: the digest that the model holds, or None."""
    from shoestring.importers.formats import HEAD_BYTES, recognise
    from shoestring.importers.require import DecodeError, onnx

    source = Path(request["source"])
    try:
        with source.open("rb") as stream:
            data = stream.read(MAX_MODEL_BYTES)
        other = recognise(data[:HEAD_BYTES])
        if other is not None and other.reader:
            return None
        model = onnx.ModelProto.FromString(data)
    except OSError as error:
        raise ModelError(f"cannot read {source}: {error.strerror}") from error
    except DecodeError as error:
        raise ModelError(f"{source} is truncated, or not an ONNX file") from error
    found = [item.value for item in model.metadata_props if item.key == KEY]
    return str(found[0]) if found else None
