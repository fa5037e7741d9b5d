"""Ask a rung in a place: question and answer are files, progress comes line by line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from shoestring.base import canonical, disk
from shoestring.base.child import unpack_reply
from shoestring.base.errors import ChildCrashedError, ChildError, ChildTimeoutError
from shoestring.base.limits import MAX_CHILD_STDERR_BYTES
from shoestring.proving.answer_there import ANSWER, DONE, OUTPUTS, QUESTION, Answered, Question
from shoestring.proving.place import Place

MODULE = "shoestring.proving.answer_there"
SECONDS_START = 900.0
"""To load a rung and replay its golden set: 32 images of a large network under emulation."""

SECONDS_IMAGE = 120.0
"""For each image, at most: emulation takes some 500 times as long as the board, which has half a second at worst."""


@dataclass(frozen=True)
class Asked:
    """What came back.

    Args:
        answered: checked.
        outputs: float32 (n, classes).
    """

    answered: Answered
    outputs: npt.NDArray[np.float32]


def ask(place: Place, question: Question, heard: Callable[[int], None] = lambda _: None) -> Asked:
    """Put a question.

    Args:
        place: open.
        question: at least one image.
        heard: told how many images were answered.

    Raises:
        ShoestringError: the one that the rung raised there: a golden set that answers otherwise, a program for another
            processor, a runtime that refuses.
        ChildCrashedError: the process died; an instruction that the core lacks is named as such.
        ChildTimeoutError: it took too long.
        ChildError: the answer is not one to the question.
    """
    with tempfile.TemporaryDirectory(prefix="shoestring-prove-") as name:
        folder = Path(name)
        disk.write_bytes(folder / QUESTION, canonical.encode(question))
        seconds = SECONDS_START + SECONDS_IMAGE * len(question.files)
        code, words = run_in(place, ("-m", MODULE, str(folder)), seconds, heard)
        if code != 0:
            raise crash(place, code, words)
        try:
            reply = unpack_reply(MODULE, (folder / ANSWER).read_bytes())
            outputs = np.load(folder / OUTPUTS, allow_pickle=False)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _odd(place, str(error)) from error
    answered = canonical.convert(reply, Answered, lambda words: _odd(place, words))
    if len(answered.top) != len(question.files) or outputs.shape[:1] != (len(question.files),):
        raise _odd(place, f"{len(answered.top)} answers to {len(question.files)} images")
    return Asked(answered, outputs)


def run_in(
    place: Place, script: tuple[str, ...], seconds: float, heard: Callable[[int], None] = lambda _: None
) -> tuple[int, str]:
    """Run Python there: (exit code as the shell gives it, last words).

    Raises:
        ChildTimeoutError: it took longer than `seconds`.
    """
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            [*place.words, *script], stdout=subprocess.PIPE, stderr=words, env=dict(place.env), start_new_session=True
        )
        late = threading.Event()

        def stop() -> None:
            late.set()
            _kill(process.pid)

        timer = threading.Timer(seconds, stop)
        timer.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                mark, _, count = line.decode(errors="replace").partition(" ")
                if mark == DONE and count.strip().isdecimal():
                    heard(int(count))
            process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                _kill(process.pid)
                process.wait()
        if late.is_set():
            raise ChildTimeoutError(
                f"{script[1]} on {place.chip} ran longer than its limit of {seconds:g} s", hint="ask for fewer images"
            )
        words.seek(0, os.SEEK_END)
        words.seek(max(0, words.tell() - MAX_CHILD_STDERR_BYTES))
        said = words.read().decode(errors="replace").strip()
    code = process.returncode
    return (128 - code if code < 0 else code), said


def crash(place: Place, code: int, words: str) -> ChildCrashedError:
    """The error about a process that died."""
    last = words.splitlines()[-1] if words else "no last words"
    where = f"on {place.chip} ({place.emulator or 'the board itself'})"
    if code == 128 + signal.SIGILL:
        return ChildCrashedError(
            f"the rung died {where} by an instruction that {place.core} lacks: {last}",
            hint="the runtime's wheel or the program was built for newer cores; take another version, or another rung",
        )
    how = f"by signal {signal.Signals(code - 128).name}" if 128 < code < 160 else f"with exit status {code}"
    return ChildCrashedError(f"the rung died {where} {how}: {last}")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _odd(place: Place, words: str) -> ChildError:
    return ChildError(f"what came back from {place.chip} is no answer: {json.dumps(words)[:300]}")


__all__ = ["Asked", "ask", "crash", "run_in"]
