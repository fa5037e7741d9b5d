"""The side of a guarded engine that must not die: starts the process, asks it, watches it, and says how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import weakref
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shoestring.base import child
from shoestring.base.errors import EngineFaultError
from shoestring.base.limits import MAX_CHILD_REPLY_BYTES, MAX_CHILD_STDERR_BYTES, MAX_GUARD_CHATTER_BYTES
from shoestring.base.resident import Watch, peak_of
from shoestring.base.units import format_bytes
from shoestring.runtimes.checks import one_line
from shoestring.runtimes.guard_child import BOOTSTRAP, COUNTER_BYTES, NOTHING
from shoestring.runtimes.guard_tensors import TensorFile, anonymous_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SERVE = "shoestring.runtimes.guard_child:serve"
"""What the process runs unless something else is asked for."""
LOOK_SECONDS = 0.02
"""Between two looks at the memory of a busy engine that has a limit of it. Fresh memory is filled at a few GB/s, so an
engine may be some 100 MB past its limit before that is seen: with rarer looks a board of 1 GB would not bear it."""
CALM_SECONDS = 0.25
"""Between two looks at an engine whose memory is its own affair: looking takes time from what may be timed."""
DYING_SECONDS = 5.0
"""That a process which has closed its channel gets to end by itself, so that we can say how it did."""
REAPING_SECONDS = 2.0
"""That a killed process is waited for. One that hangs in a driver may not end before that lets go of it; it is reaped
later, when another process is started."""
_CHUNK = 65_536


@dataclass(frozen=True)
class Question:
    """One request.

    Args:
        request: plain JSON values.
        doing: what messages call it, like "loading".
        seconds: without an answer, and without a finished run, before the engine is taken to hang.
        often: whether it is one of many small ones: memory is then looked at when it is time to, not at every answer.
    """

    request: Mapping[str, Any]
    doing: str
    seconds: float
    often: bool = False

    @cached_property
    def line(self) -> bytes:
        """As it goes over the channel; made once for a question that is put again and again."""
        return json.dumps(self.request).encode() + b"\n"


@dataclass
class _Pending:
    """A question that was put and not answered yet.

    Args:
        question: that it is.
        finished: the counter of runs when somebody last looked, as it lies in the file.
        started: monotonic clock when it was put, s.
        since: monotonic clock of the last sign of life, s.
        reply: what has come of the answer.
        heard: bytes on stderr meanwhile.
    """

    question: Question
    finished: bytes
    started: float
    since: float
    reply: bytearray = field(default_factory=bytearray)
    heard: int = 0


class GuardProcess:
    """A child process with an engine in it. It ends at the latest with the thread that starts it.

    Used by one thread at a time. A question is asked and waited for (`ask`), or put (`put`), looked for (`poll`) and
    its answer taken (`take`) by somebody who has other things to do meanwhile.

    Args:
        who: how messages call the runtime and its artefact.
        memory_bytes: peak resident memory that it may have, its Python included, or None for no limit.
        serve: `module:function` that the process runs, as `guard_child.serve`.
        files: more descriptors that it gets under the same numbers.
        popen: that starts it; for callers whose own thread may end before the process shall.

    Raises:
        EngineFaultError: no process can be started.
    """

    def __init__(
        self,
        who: str,
        memory_bytes: int | None,
        *,
        serve: str = SERVE,
        files: tuple[int, ...] = (),
        popen: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen,
    ) -> None:
        self.who = who
        self._memory_bytes = memory_bytes
        self._gone: EngineFaultError | None = None
        self._pending: _Pending | None = None
        self._words = bytearray()
        self._looked_s = 0.0
        self._look_seconds = CALM_SECONDS if memory_bytes is None else LOOK_SECONDS
        ours, theirs = socket.socketpair()
        shared = [anonymous_file() for _ in range(3)]
        self.inputs, self.outputs, self._counter = TensorFile(shared[0]), TensorFile(shared[1]), shared[2]
        os.ftruncate(self._counter, COUNTER_BYTES)
        passed = (theirs.fileno(), *shared)
        numbers = map(str, (*passed, os.getpid()))
        try:
            self.process = popen(
                [sys.executable, "-I", "-c", BOOTSTRAP, json.dumps(sys.path), serve, *numbers],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(*passed, *files),
                start_new_session=True,
            )
        except OSError as error:  # no memory, no more processes, no more descriptors
            ours.close()
            for descriptor in shared:
                os.close(descriptor)
            reason = error.strerror or error
            raise EngineFaultError(f"{who}: no process can be started: {reason}", "crashed") from error
        finally:
            theirs.close()
        self._channel = ours
        assert self.process.stderr is not None  # we asked for a pipe
        self._stderr = self.process.stderr
        os.set_blocking(self._stderr.fileno(), False)
        self._ready = select.poll()  # unlike a selector it takes no descriptor and is made once
        self._ready.register(self._channel, select.POLLIN)
        self._ready.register(self._stderr, select.POLLIN)
        self._watch = Watch(self.process.pid)
        self._end = weakref.finalize(self, _end, self.process, ours, self._stderr, self._watch, tuple(shared))

    def ask(self, question: Question) -> Any:
        """Put a question and wait for the answer.

        Raises:
            ShoestringError: the one that the engine raised there.
            EngineFaultError: the process died, hung, or went past a limit; it is gone then, and every later question
                gets the same error.
        """
        self.put(question)
        while not self.poll(self._look_seconds):
            pass
        self._check_in_time()
        return self.take()

    def put(self, question: Question) -> None:
        """Put a question and go on; one at a time. Raises EngineFaultError when the process is gone."""
        if self._pending is not None and self._gone is None:  # nobody took the answer: it would be taken for this one
            self._gone = EngineFaultError(f"{self.who} was interrupted", "crashed")
            self.close()
        self.check_there()
        now = time.monotonic()
        self._pending = _Pending(question, os.pread(self._counter, COUNTER_BYTES, 0), now, now)
        with contextlib.suppress(OSError):  # a process that is gone cannot be asked: reading will tell
            self._channel.sendall(question.line)

    def poll(self, seconds: float) -> bool:
        """Whether the answer is there, after waiting for news of it for so long at most.

        Args:
            seconds: to wait, 0 and more. Words on stderr end the wait too.

        Raises:
            EngineFaultError: as `ask`.
        """
        self.check_there()
        pending = self._pending
        if pending is None:
            raise EngineFaultError(f"{self.who} was asked nothing", "crashed")
        try:
            return self._advance(pending, seconds)
        except BaseException as error:  # also when we were interrupted: its answer would be taken for a later one
            interrupted = EngineFaultError(f"{self.who} was interrupted", "crashed")
            self._gone = error if isinstance(error, EngineFaultError) else interrupted
            self.close()
            raise

    def take(self) -> Any:
        """The answer that `poll` has found. Raises as `ask`."""
        pending, self._pending = self._pending, None
        if pending is None:
            raise EngineFaultError(f"{self.who} was asked nothing", "crashed")
        if pending.reply == NOTHING:
            return None
        try:
            return child.unpack_reply(self.who, bytes(pending.reply))
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

    def alive(self) -> bool:
        """Whether the process is there. It is not reaped by asking, so that its number stays its own."""
        try:
            return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    def resident_bytes(self) -> int | None:
        """Memory that it holds now; None when it is gone."""
        return self._watch.resident_bytes() if self._end.alive else None

    def _advance(self, pending: _Pending, seconds: float) -> bool:
        """One look at a question that was put: whether its answer is whole."""
        for descriptor, _ in self._ready.poll(1000 * seconds):
            if descriptor == self._stderr.fileno():
                pending.heard += self._listen()
            elif not self._receive(pending.reply):
                raise self._died(pending.question, time.monotonic() - pending.started)
        if pending.heard > MAX_GUARD_CHATTER_BYTES:
            limit = format_bytes(MAX_GUARD_CHATTER_BYTES)
            words = f"it wrote more than the limit of {limit} to stderr; killed"
            raise self._fault(pending.question, "flood", words)
        self._check_memory(pending.question)
        runs = os.pread(self._counter, COUNTER_BYTES, 0)
        if runs != pending.finished:
            pending.finished, pending.since = runs, time.monotonic()
        if pending.reply.endswith(b"\n"):
            return True
        if time.monotonic() - pending.since > pending.question.seconds:
            raise self._hung(pending.question)
        return False

    def _check_in_time(self) -> None:
        """Whoever waited all the time knows how long it took: a whole answer that came too late is none.

        Who only looks now and then does not know when it came, and takes it.
        """
        pending = self._pending
        if pending is not None and time.monotonic() - pending.since > pending.question.seconds:
            self._gone = self._hung(pending.question)
            self.close()
            raise self._gone

    def _hung(self, question: Question) -> EngineFaultError:
        return self._fault(question, "hung", f"no answer within the limit of {question.seconds:g} s; killed")

    def _receive(self, reply: bytearray) -> bool:
        """Take more of the reply; False at its untimely end."""
        try:
            more = self._channel.recv(_CHUNK)
        except OSError:
            return False
        reply += more
        return bool(more) and len(reply) <= MAX_CHILD_REPLY_BYTES

    def _listen(self) -> int:
        """Take what there is on stderr, keep the end of it, and say how much it was."""
        try:
            more = os.read(self._stderr.fileno(), _CHUNK)
        except BlockingIOError:
            return 0
        if not more:
            with contextlib.suppress(KeyError):  # this end was seen before
                self._ready.unregister(self._stderr)
        self._words += more
        del self._words[:-MAX_CHILD_STDERR_BYTES]
        return len(more)

    def _check_memory(self, question: Question) -> None:
        if self._memory_bytes is None:
            return
        if question.often:
            now = time.monotonic()
            if now - self._looked_s < self._look_seconds:
                return
            self._looked_s = now
        peak = self._watch.peak_bytes()
        if peak is not None and peak > self._memory_bytes:
            raise self._fault(
                question,
                "memory",
                f"it took {format_bytes(peak)} of memory, more than the limit of {format_bytes(self._memory_bytes)}; "
                "killed",
            )

    def _died(self, question: Question, seconds: float) -> EngineFaultError:
        last = time.monotonic() + min(DYING_SECONDS, question.seconds)
        # Without reaping: as long as the process is not, its number names its group and no other.
        while os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > last:
                break
            time.sleep(0.005)
        _kill(self.process)
        code = _reap(self.process)
        while self._listen():
            pass
        if code is None:
            how = "and does not end when it is killed: a driver holds it"
        else:
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


def _reap(process: subprocess.Popen[bytes]) -> int | None:
    """Its exit status, or None when it does not end."""
    try:
        return process.wait(REAPING_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _end(
    process: subprocess.Popen[bytes], channel: socket.socket, stderr: Any, watch: Watch, descriptors: tuple[int, ...]
) -> None:
    """Kill, reap, and give every descriptor back."""
    _kill(process)
    _reap(process)
    watch.close()
    channel.close()
    stderr.close()
    for descriptor in descriptors:
        os.close(descriptor)


__all__ = ["SERVE", "GuardProcess", "Question"]
