"""The side of a guarded engine that must not die: starts the process, asks it, watches it, and says how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shoestring.base import child
from shoestring.base.errors import EngineFaultError
from shoestring.base.limits import MAX_CHILD_REPLY_BYTES, MAX_CHILD_STDERR_BYTES, MAX_GUARD_CHATTER_BYTES
from shoestring.base.resident import peak_of
from shoestring.base.units import format_bytes
from shoestring.runtimes.checks import one_line
from shoestring.runtimes.guard_child import BOOTSTRAP, COUNTER_BYTES
from shoestring.runtimes.guard_tensors import TensorFile, anonymous_file

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOK_SECONDS = 0.02
"""Between two looks at the memory of a busy engine that has a limit of it. Fresh memory is filled at a few GB/s, so an
engine may be some 100 MB past its limit before that is seen: with rarer looks a board of 1 GB would not bear it."""
CALM_SECONDS = 0.25
"""Between two looks at an engine whose memory is its own affair: looking takes time from what may be timed."""
DYING_SECONDS = 5.0
"""That a process which has closed its channel gets to end by itself, so that we can say how it did."""
_CHUNK = 65_536


@dataclass(frozen=True)
class Question:
    """One request.

    Args:
        request: plain JSON values.
        doing: what messages call it, like "loading".
        seconds: without an answer, and without a finished run, before the engine is taken to hang.
    """

    request: Mapping[str, Any]
    doing: str
    seconds: float


class GuardProcess:
    """A child process with an engine in it. Used by the thread that made it, and ends with that thread at the latest.

    Args:
        who: how messages call the runtime and its artefact.
        memory_bytes: peak resident memory that it may have, its Python included, or None for no limit.
    """

    def __init__(self, who: str, memory_bytes: int | None) -> None:
        self.who = who
        self._memory_bytes = memory_bytes
        self._gone: EngineFaultError | None = None
        self._words = bytearray()
        self._look_seconds = CALM_SECONDS if memory_bytes is None else LOOK_SECONDS
        ours, theirs = socket.socketpair()
        files = [anonymous_file() for _ in range(3)]
        self.inputs, self.outputs, self._counter = TensorFile(files[0]), TensorFile(files[1]), files[2]
        os.ftruncate(self._counter, COUNTER_BYTES)
        passed = (theirs.fileno(), *files)
        command = [sys.executable, "-I", "-c", BOOTSTRAP, json.dumps(sys.path), *map(str, (*passed, os.getpid()))]
        with theirs:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=passed,
                start_new_session=True,
            )
        self._channel = ours
        assert self.process.stderr is not None  # we asked for a pipe
        self._stderr = self.process.stderr
        os.set_blocking(self._stderr.fileno(), False)
        self._end = weakref.finalize(self, _end, self.process, ours, self._stderr, tuple(files))

    def ask(self, question: Question) -> Any:
        """Put a question and wait for the answer.

        Raises:
            ShoestringError: the one that the engine raised there.
            EngineFaultError: the process died, hung, or went past a limit; it is gone then, and every later question
                gets the same error.
        """
        self.check_there()
        reply = None
        try:
            reply = self._exchange(question)
        except EngineFaultError as fault:
            self._gone = fault
            raise
        finally:
            if reply is None:  # also when we were interrupted: its answer would be taken for that to the next question
                self._gone = self._gone or EngineFaultError(f"{self.who} was interrupted", "crashed")
                self.close()
        try:
            return child.unpack_reply(self.who, reply)
        except (ValueError, KeyError, TypeError) as error:
            raise EngineFaultError(f"{self.who} answered what makes no sense: {one_line(error)}", "crashed") from error

    def check_there(self) -> None:
        """Refuse to go on with a process that is gone: its files are closed, and their numbers may be another's.

        Raises:
            EngineFaultError: why it is gone.
        """
        if self._gone is not None:
            raise EngineFaultError(self._gone.message, self._gone.fault, hint=self._gone.hint)

    def close(self) -> None:
        """Kill the process and everything it started; a second call does nothing."""
        self._end()

    def peak_rss_bytes(self) -> int | None:
        """Peak resident memory so far, Python and engine included; None when the process is gone."""
        return peak_of(self.process.pid) if self._end.alive else None

    def _exchange(self, question: Question) -> bytes:
        started = deadline = time.monotonic()
        finished, reply, heard = os.pread(self._counter, COUNTER_BYTES, 0), bytearray(), 0
        with contextlib.suppress(OSError):  # a process that is gone cannot be asked: reading will tell
            self._channel.sendall(json.dumps(question.request).encode() + b"\n")
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            selector.register(self._stderr, selectors.EVENT_READ)
            while not reply.endswith(b"\n"):
                for key, _ in selector.select(self._look_seconds):
                    if key.fileobj is self._stderr:
                        heard += self._listen(selector)
                    elif not self._receive(reply):
                        raise self._died(question, time.monotonic() - started)
                if heard > MAX_GUARD_CHATTER_BYTES:
                    limit = format_bytes(MAX_GUARD_CHATTER_BYTES)
                    raise self._fault(question, "flood", f"it wrote more than the limit of {limit} to stderr; killed")
                self._check_memory(question)
                runs = os.pread(self._counter, COUNTER_BYTES, 0)
                if runs != finished:
                    finished, deadline = runs, time.monotonic()
                if time.monotonic() - deadline > question.seconds:
                    words = f"no answer within the limit of {question.seconds:g} s; killed"
                    raise self._fault(question, "hung", words)
        self._check_memory(question)
        return bytes(reply)

    def _receive(self, reply: bytearray) -> bool:
        """Take more of the reply; False at its untimely end."""
        try:
            more = self._channel.recv(_CHUNK)
        except OSError:
            return False
        reply += more
        return bool(more) and len(reply) <= MAX_CHILD_REPLY_BYTES

    def _listen(self, selector: selectors.BaseSelector | None = None) -> int:
        """Take what there is on stderr, keep the end of it, and say how much it was."""
        try:
            more = os.read(self._stderr.fileno(), _CHUNK)
        except BlockingIOError:
            return 0
        if not more and selector is not None:
            selector.unregister(self._stderr)
        self._words += more
        del self._words[:-MAX_CHILD_STDERR_BYTES]
        return len(more)

    def _check_memory(self, question: Question) -> None:
        if self._memory_bytes is None:
            return
        peak = peak_of(self.process.pid)
        if peak is not None and peak > self._memory_bytes:
            raise self._fault(
                question,
                "memory",
                f"it took {format_bytes(peak)} of memory, more than the limit of {format_bytes(self._memory_bytes)}; "
                "killed",
            )

    def _died(self, question: Question, seconds: float) -> EngineFaultError:
        last = time.monotonic() + DYING_SECONDS
        # Without reaping: as long as the process is not, its number names its group and no other.
        while os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > last:
                break
            time.sleep(0.005)
        _kill(self.process)
        code = self.process.wait()
        while self._listen():
            pass
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
        hint = "the system may have run out of memory" if code == -signal.SIGKILL else None
        return self._fault(question, "crashed", f"its process died {how} after {seconds:.1f} s", hint)

    def _fault(self, question: Question, fault: str, words: str, hint: str | None = None) -> EngineFaultError:
        lines = self._words.decode(errors="replace").splitlines()
        last = next((one_line(line) for line in reversed(lines) if line.strip()), None)
        said = f" (last words: {last})" if last is not None else ""
        return EngineFaultError(f"{self.who} failed while {question.doing}: {words}{said}", fault, hint=hint)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The process with all that it started; nothing when it was reaped, since its number may be another's by now."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes], channel: socket.socket, stderr: Any, descriptors: tuple[int, ...]) -> None:
    """Kill, reap, and give every descriptor back."""
    _kill(process)
    process.wait()
    channel.close()
    stderr.close()
    for descriptor in descriptors:
        os.close(descriptor)


__all__ = ["GuardProcess", "Question"]
