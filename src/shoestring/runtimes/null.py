"""A runtime without an engine: a peer of the real ones for tests and for measuring what we ourselves add.

Its model is a small JSON text, not ONNX:

    {"inputs": [{"name": "x", "dtype": "float32", "shape": [null, 3]}],
     "outputs": [{"name": "y", "dtype": "float32", "shape": [null, 10]}],
     "busy_us": 200, "fail_after": 100}

`busy_us` (optional) keeps the processor busy for that long in every run. The other optional keys are faults (see
`NullModel`); those called `..._after` come in every run after that many good ones, or while loading when they are -1.
A free dimension of an output takes the length of the first free dimension among the inputs, else 1.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base import canonical
from shoestring.base.errors import EngineError
from shoestring.domain.model import TensorSpec
from shoestring.runtimes.checks import check_threads, model_bytes, model_name, one_line
from shoestring.runtimes.null_faults import Faults
from shoestring.runtimes.session import CheckedSession

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shoestring.runtimes.protocol import Array

DTYPES = (
    "bool",
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
)


@dataclass(frozen=True)
class NullModel:
    """What the JSON text holds.

    Args:
        inputs: what the model takes.
        outputs: what it answers.
        busy_us: microseconds of work in a run, whatever the thread count.
        fail_after: runs before all others raise an error; None for no failure.
        crash_after: runs before the process dies of a segmentation fault.
        abort_after: runs before the process aborts, with a word on stderr.
        exit_after: runs before the process ends itself.
        hang_after: runs before one never ends.
        nan_after: runs before the answers hold NaN.
        allocate_bytes: memory that every run takes and never gives back.
        chatter_bytes: words that every run writes to stderr, at least.
        stray_threads: whether every run leaves a thread behind that keeps the processor busy.
        unsteady: whether the same inputs get other answers in every run.
        scribble: whether a run writes into its feeds.
        poison: whether feeds that begin with a mark make the fault that they name: see `null_faults.poison`.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    busy_us: int = 0
    fail_after: int | None = None
    crash_after: int | None = None
    abort_after: int | None = None
    exit_after: int | None = None
    hang_after: int | None = None
    nan_after: int | None = None
    allocate_bytes: int = 0
    chatter_bytes: int = 0
    stray_threads: bool = False
    unsteady: bool = False
    scribble: bool = False
    poison: bool = False


class NullRuntime:
    """Answers values drawn from a hash of the inputs: the same inputs give the same answers, everywhere."""

    name = "null"

    def version(self) -> str:
        """Of the way it draws its answers."""
        return "1"

    def load(self, model: Path | bytes, threads: int) -> NullSession:
        """Load a JSON model.

        Raises:
            UsageError: `threads` is below 1.
            EngineError: the text is not such a model.
        """
        check_threads(threads)
        data = model_bytes(model)

        def refused(reason: str) -> EngineError:
            return EngineError(f"the null runtime refuses {model_name(model)}: {one_line(reason)}")

        try:
            parsed = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise refused(f"not JSON: {error}") from None
        loaded = canonical.convert(parsed, NullModel, refused)
        for spec in (*loaded.inputs, *loaded.outputs):
            if spec.dtype not in DTYPES:
                raise refused(f"{spec.name!r} has the unknown dtype {spec.dtype!r}")
        return NullSession(loaded)


class NullSession(CheckedSession):
    """A loaded null model."""

    def __init__(self, model: NullModel) -> None:
        super().__init__(model.inputs, model.outputs)
        self._model = model
        self._faults = Faults(model)

    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        deadline_ns = time.perf_counter_ns() + 1000 * self._model.busy_us
        self._faults.before()
        poison = self._faults.poisoned(feeds)
        digest = hashlib.sha256()
        for spec in self.inputs:
            digest.update(f"{spec.name} {feeds[spec.name].shape}".encode())
            digest.update(np.ascontiguousarray(feeds[spec.name]).tobytes())
        free = self._free_length(feeds)
        answers = {spec.name: _draw(spec, digest.digest(), free) for spec in self.outputs}
        self._faults.spoil(feeds)
        while time.perf_counter_ns() < deadline_ns:
            pass
        return self._faults.after(answers, poison)

    def _free(self) -> None:
        """Nothing is held, unless a fault holds it."""

    def _free_length(self, feeds: Mapping[str, Array]) -> int:
        for spec in self.inputs:
            for length, got in zip(spec.shape, feeds[spec.name].shape, strict=True):
                if length is None:
                    return int(got)
        return 1


def _draw(spec: TensorSpec, digest: bytes, free: int) -> Array:
    shape = tuple(free if length is None else length for length in spec.shape)
    count = int(np.prod(shape, dtype=np.int64))
    stream = hashlib.shake_256(digest + spec.name.encode()).digest(count)
    values: Array = np.frombuffer(stream, dtype=np.uint8)
    if spec.dtype.startswith("float"):
        values = values / np.float64(255)
    elif spec.dtype == "bool":
        values = values & 1
    return values.astype(spec.dtype).reshape(shape)


__all__ = ["NullModel", "NullRuntime", "NullSession"]
