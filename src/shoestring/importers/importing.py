"""The caller's side of the import: it looks at the file from outside and lets a child process open it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import canonical, disk
from shoestring.base.child import ChildLimits, run_in_child
from shoestring.base.errors import ChildCrashedError, ChildTimeoutError, ModelError, UsageError
from shoestring.base.limits import IMPORT_MEMORY_BYTES, IMPORT_SECONDS, MAX_MODEL_BYTES
from shoestring.base.units import format_bytes
from shoestring.domain.model import Model, TensorSpec
from shoestring.importers.formats import HEAD_BYTES, recognise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CHILD = "shoestring.importers.onnx_child:normalise"
# numpy's threads reserve address space for each core, which the memory limit counts, and there is nothing to share out.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_LIMITS = ChildLimits(IMPORT_SECONDS, IMPORT_MEMORY_BYTES)


@dataclass(frozen=True)
class _Reply:
    source_sha256: str
    opset: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    notes: tuple[str, ...]


def import_model(
    source: Path,
    target: Path,
    *,
    batch_free: bool = True,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
    limits: ChildLimits = _LIMITS,
) -> Model:
    """Read an ONNX model and write it, normalised and self-contained, to `target`.

    The file is parsed in a child process with limits; external data is read only below the model's own directory. The
    result has opset 17 or higher, no external data, no local functions and no Constant nodes at its top level;
    constants are folded, batch norms fused into the convolution or Gemm before them, Identity and Dropout removed. The
    same source gives the same bytes.

    Args:
        source: a binary ONNX file, opset 11 to the newest that the installed onnx package knows.
        target: where the normalised file goes; its directory exists. On an error it is as it was.
        batch_free: keep a free first dimension of the inputs free; False sets it to 1. A batch that the source fixes
            stays fixed.
        shapes: for inputs by name, the dimensions to use; None leaves one as the source has it.
        limits: time (s) and memory (bytes) of the child.

    Returns:
        The model; `notes` say what was done to it.

    Raises:
        ModelError: not a readable ONNX model, or one that we cannot handle.
        UsageError: `shapes` does not fit the model, or `target` is the source.
        StorageError: `target` cannot be written.
        MissingExtraError: onnx is not installed.
    """
    source, target = Path(source), Path(target)
    _check_file(source)
    if target.exists() and target.samefile(source):
        raise UsageError(f"{target} is the source itself", hint="write the normalised model to another file")
    with disk.storage_errors(target):
        scratch = tempfile.TemporaryDirectory(prefix=".import-", dir=target.parent)
    with scratch as directory:
        normalised = Path(directory) / "model.onnx"
        request = {
            "source": str(source.absolute()),
            "target": str(normalised.absolute()),
            "batch_free": batch_free,
            "shapes": {name: list(shape) for name, shape in (shapes or {}).items()},
        }
        reply = canonical.convert(_ask_child(source, request, limits), _Reply, ModelError)
        sha256 = _move(normalised, target)
    return Model(
        path=target,
        sha256=sha256,
        source_name=source.name,
        source_sha256=reply.source_sha256,
        opset=reply.opset,
        inputs=reply.inputs,
        outputs=reply.outputs,
        notes=reply.notes,
    )


def _check_file(source: Path) -> None:
    """What can be said without parsing: that it is a file, its size, and what its first bytes show."""
    if not source.exists():
        raise ModelError(f"there is no file {source}", hint="check the path")
    if source.is_dir():
        raise ModelError(f"{source} is a directory", hint="give the .onnx file inside it")
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
    if other is not None:
        raise ModelError(f"{source} is {other.name}, not an ONNX model", hint=other.hint)


def _ask_child(source: Path, request: object, limits: ChildLimits) -> object:
    memory = "any amount" if limits.memory_bytes is None else format_bytes(limits.memory_bytes)
    try:
        return run_in_child(_CHILD, request, limits, env=_ONE_THREAD)
    except ChildTimeoutError as error:
        raise ModelError(
            f"{source} was not read within the limit of {limits.seconds:g} s", hint="the file is damaged or hostile"
        ) from error
    except ChildCrashedError as error:
        raise ModelError(
            f"the process that read {source} died (limits: {limits.seconds:g} s, {memory} of memory): {error.message}",
            hint="the file is damaged, hostile or too large; export it again",
        ) from error


def _move(normalised: Path, target: Path) -> str:
    """Copy the child's file to `target`, durably, and return the SHA-256 of what was copied."""
    with disk.atomic_file(target) as out, normalised.open("rb") as stream:
        shutil.copyfileobj(stream, out, 1 << 20)
    with target.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
