"""Formats that become ONNX first: one reader a format, one file a reader.

A reader is a function `to_onnx(source, target, ask) -> Translated` named in `formats.py`. It runs in the caller's
process, looks at the file from outside, and lets a child process of its own parse it and write ONNX to `target`. What
it wrote is then read as any ONNX file of unknown origin is.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from shoestring.base.child import ChildLimits, run_in_child
from shoestring.base.errors import ChildCrashedError, ChildTimeoutError, ModelError
from shoestring.base.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# numpy's threads reserve address space for each core, which the memory limit counts, and there is nothing to share out.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Ask:
    """What the user said about the file; the arguments of `import_model`.

    Args:
        shapes: for inputs by name, the dimensions to use; None leaves one as the source has it.
        batch_free: whether a free first dimension may stay free.
        allow_pickle: whether files that run code when they are opened may be opened at all.
        limits: time (s) and memory (bytes) of a child that parses.
        weights: the file of the weights, where they stand in one of their own; None to look beside the source.
    """

    shapes: Mapping[str, Sequence[int | None]]
    batch_free: bool
    allow_pickle: bool
    limits: ChildLimits
    weights: Path | None = None


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


def ask_child(
    child: str, source: Path, request: object, limits: ChildLimits, *, env: Mapping[str, str] | None = None
) -> Any:
    """Run `child` on a file that is not trusted, and say in terms of that file how it ended.

    Args:
        child: `package.module:function`, see `run_in_child`.
        source: for the message.
        request: its argument.
        limits: time and memory.
        env: all that the child's environment holds; None for our own with numpy held to one thread.

    Raises:
        ModelError: it died or ran out of time; or whatever error of ours it raised.
    """
    most = limits.memory_bytes or limits.resident_bytes
    memory = "any amount" if most is None else format_bytes(most)
    try:
        return run_in_child(child, request, limits, env=dict(env or ONE_THREAD), inherit_env=env is None)
    except ChildTimeoutError as error:
        raise ModelError(
            f"{source} was not read within the limit of {limits.seconds:g} s", hint="the file is damaged or hostile"
        ) from error
    except ChildCrashedError as error:
        raise ModelError(
            f"the process that read {source} died (limits: {limits.seconds:g} s, {memory} of memory): {error.message}",
            hint="the file is damaged, hostile or too large; export it again",
        ) from error
