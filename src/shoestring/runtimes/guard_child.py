"""The side of a guarded engine that may die: a process that loads one model and runs it for its parent.

Requests come as JSON lines on a socket and are answered one by one; tensors lie in files that both have open. When the
parent ends, however it ends, so does this process.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import mmap
import os
import resource
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import EngineError, ShoestringError
from shoestring.runtimes import registry
from shoestring.runtimes.guard_tensors import TensorFile

if TYPE_CHECKING:
    from shoestring.domain.model import TensorSpec
    from shoestring.runtimes.protocol import Array, Session

COUNTER_BYTES = 8
_NOTHING = {"result": None}
NOTHING = json.dumps(_NOTHING).encode() + b"\n"
"""The reply to what has no result, or leaves it in the file of tensors."""
BOOTSTRAP = (
    "import sys, json, importlib; sys.path[:] = json.loads(sys.argv[1]); "
    "module, _, name = sys.argv[2].partition(':'); "
    "getattr(importlib.import_module(module), name)(*map(int, sys.argv[3:]))"
)
_PR_SET_PDEATHSIG = 1  # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
_MOST_KILLABLE = b"1000"  # https://man7.org/linux/man-pages/man5/proc_pid_oom_score_adj.5.html


def serve(channel: int, inputs: int, outputs: int, counter: int, parent: int) -> None:
    """Answer requests until the parent closes the channel.

    Args:
        channel: descriptor of the socket.
        inputs: of the file that the parent writes tensors to.
        outputs: of the file that this process writes tensors to.
        counter: of a file of COUNTER_BYTES that holds how many runs were finished.
        parent: process number of the parent.
    """
    answer_all(Work, channel, inputs, outputs, counter, parent)


def answer_all(kind: type[Desk], channel: int, inputs: int, outputs: int, counter: int, parent: int) -> None:
    """`serve` with another kind of work."""
    _tie_to(parent)
    os.dup2(2, 1)  # an engine's words on stdout go where those on stderr go
    desk = kind(TensorFile(inputs), TensorFile(outputs), mmap.mmap(counter, COUNTER_BYTES))
    with socket.socket(fileno=channel) as connection, connection.makefile("rb") as lines:
        last, request = b"", {}
        for line in lines:
            if line != last:  # frames all ask the same
                last, request = line, json.loads(line)
            answer = desk.answer(request)
            connection.sendall(NOTHING if answer == _NOTHING else json.dumps(answer).encode() + b"\n")


class Desk:
    """Answers requests by its methods `_do_...`.

    Args:
        inputs, outputs: tensors from and to the parent.
        counter: where finished runs are counted, so that the parent can tell a long block from a hang.
    """

    def __init__(self, inputs: TensorFile, outputs: TensorFile, counter: mmap.mmap) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._counter = counter
        self._runs = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What to reply: a result, or an error of our own tree. Anything else ends the process."""
        try:
            return {"result": getattr(self, f"_do_{request['do']}")(request)}
        except ShoestringError as error:
            return {"error": type(error).__name__, "message": error.message, "hint": error.hint}

    def _finished(self) -> None:
        self._runs += 1
        self._counter[:COUNTER_BYTES] = self._runs.to_bytes(COUNTER_BYTES, "little")


class Work(Desk):
    """One model, loaded and run on request; arguments as of `Desk`."""

    def __init__(self, inputs: TensorFile, outputs: TensorFile, counter: mmap.mmap) -> None:
        super().__init__(inputs, outputs, counter)
        self._session: Session | None = None
        self._feeds: dict[str, Array] = {}

    def _do_version(self, request: dict[str, Any]) -> str:
        return registry.get(request["runtime"]).version()

    def _do_load(self, request: dict[str, Any]) -> dict[str, Any]:
        path = request["model"]
        model = self._inputs.read_bytes(request["model_bytes"]) if path is None else Path(path)
        self._session = registry.get(request["runtime"]).load(model, request["threads"])
        return {"inputs": _plain(self._session.inputs), "outputs": _plain(self._session.outputs)}

    def _do_run(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        self._feeds = self._inputs.read(request["feeds"])
        answers = self._loaded().run(self._feeds)
        self._finished()
        return self._outputs.write(answers)

    def _do_time(self, request: dict[str, Any]) -> list[float]:
        """Milliseconds of each of `runs` runs with the feeds of the last one, after `lead` that are not timed."""
        run = self._loaded().run
        if not self._feeds:
            raise EngineError("there is nothing to time before a first run")
        was_on = gc.isenabled()
        gc.collect()
        gc.disable()
        try:
            for _ in range(request["lead"]):
                run(self._feeds)
                self._finished()
            times_ms = []
            for _ in range(request["runs"]):
                start = time.perf_counter_ns()
                run(self._feeds)
                # A clock may stand still over a very short run; a time of zero would break every ratio.
                times_ms.append(max(1, time.perf_counter_ns() - start) / 1e6)
                self._finished()
        finally:
            if was_on:
                gc.enable()
        return times_ms

    def _loaded(self) -> Session:
        if self._session is None:
            raise EngineError("no model is loaded")
        return self._session


def _plain(specs: tuple[TensorSpec, ...]) -> list[dict[str, Any]]:
    return [{"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)} for spec in specs]


def _tie_to(parent: int) -> None:
    """Die when the thread that started us does; be what the system kills first when memory runs out; leave no core."""
    if hasattr(prctl := ctypes.CDLL(None), "prctl"):  # Linux
        prctl.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # no Linux, or no /proc: only a preference is lost
        Path("/proc/self/oom_score_adj").write_bytes(_MOST_KILLABLE)


__all__ = ["BOOTSTRAP", "COUNTER_BYTES", "NOTHING", "Desk", "Work", "answer_all", "serve"]
