"""PyTorch files, from outside: exported programs are read, pickles only when asked, and both in a closed process.

torch.export.load unpickles and evaluates what stands in the file, and says itself that it must not be given files from
others. So everything that opens such a file shuts itself in first (see `base/closed.py`), and what it answers is held
to be foreign: plain words of limited length, and an ONNX file that goes through the same quarantine as any other.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from pathlib import Path

from shoestring.base import disk
from shoestring.base.child import ChildLimits
from shoestring.base.errors import MissingExtraError, ModelError, ShoestringError, UsageError
from shoestring.base.limits import MAX_MODEL_BYTES, MAX_NOTE_CHARACTERS, MAX_NOTES
from shoestring.base.quarantine import Told, Walls
from shoestring.importers import archives
from shoestring.importers.keras import keras_hint
from shoestring.importers.sources import Ask, Translated, ask_child

_CHILD = "shoestring.importers.pytorch_child:convert"
_ZIP = b"PK\x03\x04"
_NEEDED = ("torch", "onnxscript", "onnx", "numpy")
_WORDS = {"script": "a TorchScript archive", "pickle": "a pickle of PyTorch"}
_SAFER = (
    "where you trust it, save an exported program: torch.export.save(torch.export.export(model, (example,)), "
    "'model.pt2'); or `shoestring import --allow-pickle` opens it in a closed process"
)


def to_onnx(source: Path, target: Path, ask: Ask) -> Translated:
    """Make ONNX of an exported program (.pt2), or, with `ask.allow_pickle`, of TorchScript or a pickled module.

    Args:
        source: a zip archive or a pickle.
        target: see `sources.Reader`.
        ask: `shapes` give the example inputs of TorchScript and pickled modules, which hold none; `limits.memory_bytes`
            is held against the memory in use, since torch reserves address space without using it.

    Raises:
        ModelError: not such a file, a pickle that nobody asked for, one that holds no graph, or a kernel that cannot
            close a process.
        UsageError: shapes are missing, or do not fit.
        MissingExtraError: torch or onnxscript is not installed.
    """
    snapshot = target.with_name("source.pt2")  # torch looks at the end of the name
    sha256 = _copy(source, snapshot)
    kind = _kind(source, snapshot)
    if kind in _WORDS and not ask.allow_pickle:
        raise ModelError(f"{source} is {_WORDS[kind]}, which can run any code when it is opened", hint=_SAFER)
    for package in _NEEDED:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "torch")
    target.touch()
    request = {
        "kind": kind,
        "source": str(snapshot.absolute()),
        "target": str(target.absolute()),
        "shapes": {name: list(shape) for name, shape in ask.shapes.items()},
        "batch_free": ask.batch_free,
        "allow_pickle": ask.allow_pickle,
    }
    # Opening such a file may run code of its own, so this is never done without walls.
    around = Walls((snapshot,), (target,), MAX_MODEL_BYTES, _NEEDED, required=True)
    notes = _notes(_ask(source, request, ask.limits, around))
    snapshot.unlink()
    if target.stat().st_size == 0:
        raise ModelError(f"{source} was opened, and no ONNX model came out of it", hint="export it to ONNX yourself")
    return Translated(sha256, notes)


def _copy(source: Path, snapshot: Path) -> str:
    """Copy the file, so that what is looked at is what is opened, and return its SHA-256."""
    hasher = hashlib.sha256()
    try:
        opened = source.open("rb")
    except OSError as error:
        raise ModelError(f"cannot read {source}: {error.strerror}", hint="check its permissions") from error
    with opened as stream, disk.storage_errors(snapshot), snapshot.open("wb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)
    with snapshot.open("rb") as copied:
        while block := copied.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def _kind(source: Path, snapshot: Path) -> archives.Kind:
    with snapshot.open("rb") as stream:
        is_zip = stream.read(len(_ZIP)) == _ZIP
    if not is_zip:
        return "pickle"
    try:
        kind = archives.look(snapshot).kind
    except ModelError as error:
        raise ModelError(error.message.replace(str(snapshot), str(source)), hint=error.hint) from error
    if kind == "keras":
        raise ModelError(f"{source} is a Keras model", hint=keras_hint(source))
    if kind == "unknown":
        raise ModelError(f"{source} is a zip file that holds no model we know", hint="unpack it and look inside")
    return kind


def _ask(source: Path, request: object, limits: ChildLimits, around: Walls) -> Told:
    """Let the closed process work. It ran foreign code: of what it answers, nothing but the form is believed."""
    scratch = str(around.writable[0].absolute().parent)
    env = {"TORCHINDUCTOR_CACHE_DIR": scratch, "HOME": scratch}
    watched = ChildLimits(limits.seconds, None, limits.memory_bytes)
    try:
        return ask_child(_CHILD, source, request, watched, around, env=env)
    except ShoestringError as error:
        kind = UsageError if type(error) is UsageError else ModelError
        hint = None if error.hint is None else plain(error.hint)
        raise kind(plain(error.message), hint=hint) from error


def _notes(told: Told) -> tuple[str, ...]:
    answer = told.result
    if not (isinstance(answer, list) and all(isinstance(note, str) for note in answer)):
        raise ModelError("the process that read the file answered no notes", hint="the file is hostile; do not use it")
    return tuple(plain(note) for note in (*answer[:MAX_NOTES], f"opened in a closed process: {'; '.join(told.held)}"))


def plain(words: str) -> str:
    """Foreign words without control characters, which could move a terminal's cursor, and not too many of them."""
    kept = "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in words)
    return kept if len(kept) <= MAX_NOTE_CHARACTERS else kept[:MAX_NOTE_CHARACTERS] + " ..."
