"""What a broken engine does, on demand: the saboteurs that guards and contract tests must catch.

A null model asks for a fault by name (see `runtimes.null`); each happens in the run after so many good ones. One whose
model is `poison` has no fault of its own: the input brings it, as a picture does that an engine cannot bear.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.runtimes.null import NullModel
    from shoestring.runtimes.protocol import Array

WHILE_LOADING = -1
"""A number of good runs that means: not even loading is one."""
EXIT_STATUS = 3
_HOARD: list[bytearray] = []  # of the process: nothing that a session does gives it back
_PAGE = 4096
_HOARD_BYTES = 1_000_000_000
_FLOOD_BYTES = 20 * 1024 * 1024
MARK = (251, 13, 241)
"""First values of a poisoned input; the next one is the place of the fault in POISONS."""
POISONS = ("crash", "abort", "exit", "killed", "hang", "flood", "leak", "nan", "shape", "fail")
_LINE = b"the null engine complains, as its model says\n"
_FLOOD = 1000 * _LINE


class Faults:
    """The faults of one session.

    Args:
        model: that asks for them.
    """

    def __init__(self, model: NullModel) -> None:
        self._model = model
        self._runs = WHILE_LOADING
        self.before()

    def before(self) -> None:
        """Called when a session starts and ahead of every run. Raises EngineError when the model says so."""
        model, runs = self._model, self._runs
        self._runs += 1
        if _due(model.crash_after, runs):
            os.kill(os.getpid(), signal.SIGSEGV)
        if _due(model.abort_after, runs):
            os.write(2, b"null engine: assertion failed: model is sane\n")
            os.abort()
        if _due(model.exit_after, runs):
            os._exit(EXIT_STATUS)
        if _due(model.hang_after, runs):
            threading.Event().wait()
        if runs == WHILE_LOADING:
            return
        if _due(model.fail_after, runs):
            raise EngineError(f"the null runtime fails after {model.fail_after} runs, as its model says")
        if model.allocate_bytes:
            _HOARD.append(_touched(model.allocate_bytes))
        for _ in range(-(-model.chatter_bytes // len(_LINE))):
            os.write(2, _LINE)
        if model.stray_threads:
            threading.Thread(target=_spin, daemon=True).start()

    def poisoned(self, feeds: Mapping[str, Array]) -> str | None:
        """Called with the feeds of every run: the poison in them, once what it does to the process is done.

        Raises EngineError when that is what it does.
        """
        poison = poison_in(feeds) if self._model.poison else None
        if poison in ("crash", "abort", "killed"):
            signals = {"crash": signal.SIGSEGV, "abort": signal.SIGABRT, "killed": signal.SIGKILL}
            os.kill(os.getpid(), signals[poison])
        elif poison == "exit":
            os._exit(EXIT_STATUS)
        elif poison == "hang":
            threading.Event().wait()
        elif poison == "fail":
            raise EngineError("the null runtime cannot bear this input")
        elif poison == "leak":
            _HOARD.append(_touched(_HOARD_BYTES))
        elif poison == "flood":
            for _ in range(-(-_FLOOD_BYTES // len(_FLOOD))):
                os.write(2, _FLOOD)
        return poison

    def after(self, answers: dict[str, Array], poison: str | None = None) -> dict[str, Array]:
        """Called with the answers of every run, and the poison in its feeds; what it returns is answered."""
        if poison == "shape":
            return {name: np.concatenate([value, value[..., :1]], axis=-1) for name, value in answers.items()}
        if poison == "nan":
            return {name: _spoilt(value) for name, value in answers.items()}
        if self._model.unsteady:
            answers = {name: value + np.asarray(self._runs, value.dtype) for name, value in answers.items()}
        if _due(self._model.nan_after, self._runs - 1):
            answers = {name: _spoilt(value) for name, value in answers.items()}
        return answers

    def spoil(self, feeds: Mapping[str, Array]) -> None:
        """Write into the feeds, if the model says so."""
        if self._model.scribble:
            for value in feeds.values():
                value += np.asarray(1, value.dtype)


def poison(pixels: Array, fault: str) -> Array:
    """A copy of an input that makes the fault; of pixels where the model takes them as they are (uint8, nhwc).

    Args:
        pixels: of any shape with four values at least, of 0 to 255.
        fault: one of POISONS.
    """
    marked = pixels.copy()
    marked.reshape(-1)[: len(MARK) + 1] = (*MARK, POISONS.index(fault))
    return marked


def poison_in(feeds: Mapping[str, Array]) -> str | None:
    """The fault that these feeds bring; None for healthy ones."""
    for value in feeds.values():
        head = value.reshape(-1)[: len(MARK) + 1].tolist()
        if len(head) > len(MARK) and tuple(head[:-1]) == MARK and head[-1] in range(len(POISONS)):
            return POISONS[int(head[-1])]
    return None


def _due(after: int | None, runs: int) -> bool:
    return after is not None and runs >= after


def _touched(count: int) -> bytearray:
    """Memory that is really there: a page that nobody wrote to takes none."""
    block = bytearray(count)
    for place in range(0, count, _PAGE):
        block[place] = 1
    return block


def _spoilt(value: Array) -> Array:
    if value.dtype.kind != "f":
        return value
    spoilt = value.copy()
    spoilt.reshape(-1)[:1] = np.nan
    return spoilt


def _spin() -> None:
    while True:
        time.sleep(0)


__all__ = ["EXIT_STATUS", "MARK", "POISONS", "WHILE_LOADING", "Faults", "poison", "poison_in"]
