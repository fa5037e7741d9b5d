"""Formats that become ONNX first: one reader a format, one file a reader.

A reader is a function `to_onnx(source, target, ask) -> Translated` named in `formats.py`. It runs in the caller's
process, looks at the file from outside, and lets a child process of its own parse it and write ONNX to `target`. What
it wrote is then read as any ONNX file of unknown origin is.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shoestring.base import disk, quarantine
from shoestring.base.child import ChildLimits
from shoestring.base.errors import ChildCrashedError, ChildError, ChildTimeoutError, ModelError
from shoestring.base.limits import MAX_MODEL_BYTES
from shoestring.base.quarantine import Told, Walls
from shoestring.base.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# What the readers import, wherever it is installed.
PACKAGES = ("onnx", "google", "numpy", "ml_dtypes", "msgspec", "ai_edge_litert", "flatbuffers")


@dataclass(frozen=True)
class Ask:
    """What the user said about the file; the arguments of `import_model`.

    Args:
        shapes: for inputs by name, the dimensions to use; None leaves one as the source has it.
        batch_free: whether a free first dimension may stay free.
        allow_pickle: whether files that run code when they are opened may be opened at all.
        limits: time (s) and memory (bytes) of a child that parses.
        weights: the file of the weights, where they stand in one of their own; None to look beside the source.
        require_quarantine: refuse where the kernel cannot close the process that parses.
    """

    shapes: Mapping[str, Sequence[int | None]]
    batch_free: bool
    allow_pickle: bool
    limits: ChildLimits
    weights: Path | None = None
    require_quarantine: bool = False


@dataclass(frozen=True)
class Translated:
    """What a reader says of its work.

    Args:
        sha256: of the source; of several files, of their contents in the order of their names.
        notes: what was done, in plain words; they stand before those of the normalisation.
    """

    sha256: str
    notes: tuple[str, ...]


class Reader(Protocol):
    """Makes an ONNX file of a file in another format."""

    def __call__(self, source: Path, target: Path, ask: Ask) -> Translated:
        """Write ONNX to `target`, which does not exist yet and whose directory is the reader's own.

        Raises:
            ModelError: the file is unsound, or holds what ONNX cannot say; by name.
            UsageError: `ask` does not fit the file.
            MissingExtraError: what reads it is not installed.
        """


def reader(name: str) -> Reader:
    """The reader that `formats.py` names as `package.module:function`."""
    module, _, function = name.partition(":")
    found: Reader = getattr(importlib.import_module(module), function)
    return found


def walls(ask: Ask, readable: Sequence[Path], target: Path) -> Walls:
    """Those around a reader that runs no code of the file: it reads `readable` and writes `target`, made here."""
    with disk.storage_errors(target):
        target.touch()
    return Walls(tuple(readable), (target,), MAX_MODEL_BYTES, PACKAGES, ask.require_quarantine)


def ask_child(
    child: str,
    source: Path,
    request: object,
    limits: ChildLimits,
    around: Walls,
    *,
    env: Mapping[str, str] | None = None,
) -> Told:
    """Run `child` on a file that is not trusted, in quarantine, and say in terms of that file how it ended.

    Args:
        child: `package.module:function`, see `run_in_child`.
        source: for the message.
        request: its argument.
        limits: time and memory.
        around: what it may touch.
        env: added to the child's environment, which holds next to nothing.

    Raises:
        ModelError: it died, ran out of time or answered nonsense; or whatever error of ours it raised.
    """
    most = limits.memory_bytes or limits.resident_bytes
    memory = "any amount" if most is None else format_bytes(most)
    try:
        return quarantine.ask(child, request, limits, around, env=env)
    except ChildTimeoutError as error:
        raise ModelError(
            f"{source} was not read within the limit of {limits.seconds:g} s", hint="the file is damaged or hostile"
        ) from error
    except ChildCrashedError as error:
        raise ModelError(
            f"the process that read {source} died (limits: {limits.seconds:g} s, {memory} of memory): {error.message}",
            hint="the file is damaged, hostile or too large; export it again",
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        # Whatever took the process over wrote the answer, not us.
        raise ModelError(
            f"the process that read {source} answered in no way of ours", hint="the file is hostile; do not use it"
        ) from error
    except ChildError as error:
        raise ModelError(f"{source} was not opened: {error.message}", hint=error.hint) from error
