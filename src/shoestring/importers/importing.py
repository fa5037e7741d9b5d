"""The caller's side of the import: it looks at the file from outside and lets a child process open it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import canonical, disk
from shoestring.base.child import ChildLimits
from shoestring.base.errors import ModelError, UsageError
from shoestring.base.limits import IMPORT_MEMORY_BYTES, IMPORT_SECONDS, MAX_MODEL_BYTES
from shoestring.base.units import format_bytes
from shoestring.domain.model import Model, TensorSpec
from shoestring.importers.formats import HEAD_BYTES, Format, recognise
from shoestring.importers.keras import saved_model_hint
from shoestring.importers.sources import Ask, ask_child, reader, walls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CHILD = "shoestring.importers.onnx_child:normalise"
_NORMALISED = "model.onnx"
_LIMITS = ChildLimits(IMPORT_SECONDS, IMPORT_MEMORY_BYTES)
_FACE_HINT = "`shoestring import FOLDER -o model.onnx` reads an encoder, `-o model.gguf` a model that writes"


@dataclass(frozen=True)
class _Reply:
    source_sha256: str
    opset: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    notes: tuple[str, ...]


def import_model(
    source: Path | str,
    target: Path | str,
    *,
    batch_free: bool = True,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
    allow_pickle: bool = False,
    weights: Path | None = None,
    limits: ChildLimits = _LIMITS,
    require_quarantine: bool = False,
) -> Model:
    """Read a model and write it as ONNX, normalised and self-contained, to `target`.

    The file is parsed in a child process with limits that has shut itself in: it reads below the model's own directory
    alone, and has no network and no programs; where the kernel has no means for that, a note says so. A file in
    another format that we read becomes ONNX first, in a child of its own (see `sources`). The result has opset 17 or
    higher, no external data, no local functions and no Constant nodes at its top level; constants are folded, batch
    norms fused into the convolution or Gemm before them, Identity and Dropout removed. The same source gives the same
    bytes.

    Args:
        source: a binary ONNX file, opset 11 to the newest that the installed onnx package knows; or a file in another
            format that has a reader (`formats`).
        target: where the normalised file goes; its directory exists. On an error it is as it was.
        batch_free: keep a free first dimension of the inputs free; False sets it to 1. A batch that the source fixes
            stays fixed.
        shapes: for inputs by name, the dimensions to use; None leaves one as the source has it.
        allow_pickle: open files that run code when they are opened, in a closed process; they are refused otherwise.
        weights: the file of a Darknet network's weights; None to take the one beside `source` with the same stem.
        limits: time (s) and memory (bytes) of the child.
        require_quarantine: refuse where the kernel cannot close that process.

    Returns:
        The model; `notes` say what was done to it.

    Raises:
        ModelError: not a readable model, or one that we cannot handle.
        UsageError: `shapes` does not fit the model, or `target` is the source.
        StorageError: `target` cannot be written.
        MissingExtraError: onnx, or what reads the other format, is not installed.
    """
    source, target = Path(source), Path(target)
    other = _check_file(source)
    if target.exists() and target.samefile(source):
        raise UsageError(f"{target} is the source itself", hint="write the normalised model to another file")
    given = None if weights is None else Path(weights)
    ask = Ask(shapes or {}, batch_free, allow_pickle, limits, given, require_quarantine)
    with disk.storage_errors(target):
        scratch = tempfile.TemporaryDirectory(prefix=".import-", dir=target.parent)
    with scratch as directory:
        reply, notes = _read(source, other, Path(directory), ask)
        sha256 = _move(Path(directory) / _NORMALISED, target)
    return Model(
        path=target,
        sha256=sha256,
        source_name=source.name,
        source_sha256=reply.source_sha256,
        opset=reply.opset,
        inputs=reply.inputs,
        outputs=reply.outputs,
        notes=(*notes, *reply.notes),
    )


def _read(source: Path, other: Format | None, scratch: Path, ask: Ask) -> tuple[_Reply, tuple[str, ...]]:
    """Write the normalised model into `scratch`; what is said of it, and what a reader said before."""
    if other is None:
        return _normalise(source, source, scratch, ask), ()
    made = scratch / "translated.onnx"
    translated = reader(other.reader)(source, made, ask)
    return replace(_normalise(source, made, scratch, ask), source_sha256=translated.sha256), translated.notes


def _normalise(source: Path, made: Path, scratch: Path, ask: Ask) -> _Reply:
    """Normalise the ONNX file `made`, which is `source` or was made of it."""
    request = {
        "source": str(made.absolute()),
        "target": str((scratch / _NORMALISED).absolute()),
        "batch_free": ask.batch_free,
        "shapes": {name: list(shape) for name, shape in ask.shapes.items()},
    }
    # External data stand below the model's own directory, and only the child knows their names.
    told = ask_child(_CHILD, source, request, ask.limits, walls(ask, (made, made.parent), scratch / _NORMALISED))
    reply = canonical.convert(told.result, _Reply, ModelError)
    return reply if told.lacking is None else replace(reply, notes=(*reply.notes, not_closed(told.lacking)))


def not_closed(lacking: str) -> str:
    """What is to be said of a file that was read without walls."""
    return f"{lacking}; the file was read in a process of its own, with limits on time, memory and file size"


def _check_file(source: Path) -> Format | None:
    """What can be said without parsing: that it is a file, its size, and what its first bytes show.

    Returns:
        None for ONNX, or another format that has a reader.
    """
    if not source.exists():
        raise ModelError(f"there is no file {source}", hint="check the path")
    if source.is_dir():
        saved = (source / "saved_model.pb").exists()
        face = (source / "config.json").exists()
        hint = saved_model_hint(source) if saved else _FACE_HINT if face else "give the .onnx file inside it"
        kind = ", a SavedModel of TensorFlow" if saved else ", a folder of Hugging Face" if face else ""
        raise ModelError(f"{source} is a directory{kind}", hint=hint)
    if not source.is_file():
        raise ModelError(f"{source} is not a regular file", hint="give an .onnx file")
    size_bytes = source.stat().st_size
    if size_bytes == 0:
        raise ModelError(f"{source} is empty", hint="export or download it again")
    if size_bytes > MAX_MODEL_BYTES:
        raise ModelError(
            f"{source} has {format_bytes(size_bytes)}, more than the limit of {format_bytes(MAX_MODEL_BYTES)}",
            hint="a model of this size does not run on the boards we serve",
        )
    try:
        with source.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise ModelError(f"cannot read {source}: {error.strerror}", hint="check its permissions") from error
    other = recognise(head)
    if other is not None and not other.reader:
        raise ModelError(f"{source} is {other.name}, not an ONNX model", hint=other.hint)
    return other


def _move(normalised: Path, target: Path) -> str:
    """Copy the child's file to `target`, durably, and return the SHA-256 of what was copied."""
    with disk.atomic_file(target) as out, normalised.open("rb") as stream:
        shutil.copyfileobj(stream, out, 1 << 20)
    with target.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
