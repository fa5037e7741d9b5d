"""SIGKILL at every system call of a piece of work, by ptrace(2): no page is lost, but nothing tidies up either.

    killing.at_every_call(work)        # the process dies before its first system call, before its second, ...
    killing.at_random(work, 1_000)     # ... or at any moment at all

A kill at the stop before a call finds the state that the call before it left, so all states that a kill can leave are
seen. Only the counting of stops is used, no register, so it runs on every architecture of Linux.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import power

TRACE_ME, SYSCALL, SET_OPTIONS = 0, 24, 0x4200
EXIT_KILL, GOOD_SYSCALL = 0x00100000, 0x1  # the tracee dies with the tracer; stops at calls are told from others
CALL_STOP = signal.SIGTRAP | 0x80
TRIES = 20  # on a busy machine most of the work is done before its killer wakes up
PATIENCE_SECONDS = 60  # of a piece of work that takes milliseconds: it hangs

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


@dataclass(frozen=True)
class Work:
    """What is killed.

    Args:
        prepare: makes what is there before.
        act: the work; it runs in a process of its own.
        check: given the directory afterwards, and whether `act` had returned; raises AssertionError, and may recover.
    """

    prepare: Callable[[Path], None]
    act: Callable[[Path], None]
    check: Callable[[Path, bool], None]


@dataclass(frozen=True)
class Kills:
    """What was done.

    Args:
        calls: system calls of the work.
        killed: how many times it was killed; the last run of `at_every_call` comes to its end.
        seen: how many different states the kills left.
    """

    calls: int
    killed: int
    seen: int


def at_every_call(work: Work, *, stride: int = 1) -> Kills:
    """Kill before the first system call, the second, and so on until the work comes to its end.

    Args:
        work: to kill.
        stride: only before every n-th.

    Raises:
        AssertionError: the check refuses what is left.
        OSError: this system does not let us trace.
    """
    number, killed, states = 1, 0, set()
    while True:
        with power.scratch() as name:
            root = _ready(work, name)
            calls, finished = _run(work, root, number)
            states.add(_state(root))
            _check(work, root, finished, f"killed before system call {number}")
        if finished:
            return Kills(calls, killed, len(states))
        killed, number = killed + 1, number + stride


def at_random(work: Work, times: int, seed: int) -> Kills:
    """Kill so many times at moments by chance, spread over the time that the work takes.

    Those that come after its end count for nothing, but are checked like the others; after TRIES for each it is enough.
    """
    chance, killed, states = random.Random(seed), 0, set()
    took = statistics.median(_seconds(work) for _ in range(9))
    for turn in range(times * TRIES):
        with power.scratch() as name:
            root = _ready(work, name)
            child = _fork(work, root, traced=False)
            time.sleep(chance.uniform(0, took))
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            finished = os.WIFEXITED(status)
            assert not finished or os.WEXITSTATUS(status) == 0, "the work failed by itself"
            states.add(_state(root))
            _check(work, root, finished, f"random kill {turn}")
            killed += not finished
        if killed == times:
            break
    return Kills(0, killed, len(states))


def _check(work: Work, root: Path, finished: bool, words: str) -> None:
    try:
        work.check(root, finished)
    except AssertionError as error:
        raise AssertionError(f"{words}: {error}") from error


def _state(root: Path) -> str:
    """What is there, whatever the temporary files are called."""
    return repr([("temporary" if ".part" in name else name, data) for name, data in power.tree_of(root).items()])


def _seconds(work: Work) -> float:
    with power.scratch() as name:
        root = _ready(work, name)
        start = time.monotonic()
        os.waitpid(_fork(work, root, traced=False), 0)
        return time.monotonic() - start


def _ready(work: Work, name: str) -> Path:
    root = Path(name) / "killed"
    root.mkdir()
    work.prepare(root)
    return root


def _fork(work: Work, root: Path, *, traced: bool) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE_SECONDS)
        if traced:
            if _libc.ptrace(TRACE_ME, 0, None, None) != 0:
                os._exit(77)
            os.kill(os.getpid(), signal.SIGSTOP)
        work.act(root)
        code = 0
    finally:
        os._exit(code)


def _ptrace(request: int, child: int, data: int) -> None:
    if _libc.ptrace(request, child, None, data) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _run(work: Work, root: Path, number: int) -> tuple[int, bool]:
    """Let it run to just before its system call `number`, and kill it there.

    Returns:
        How many calls it began, and whether it came to its end before.
    """
    child = _fork(work, root, traced=True)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSTOPPED(status):
        raise OSError(f"the work cannot be traced: status {status:#x}")
    try:
        _ptrace(SET_OPTIONS, child, EXIT_KILL | GOOD_SYSCALL)
        calls, inside, passed_on = 0, False, 0
        while True:
            _ptrace(SYSCALL, child, passed_on)
            status = os.waitpid(child, 0)[1]
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                assert status == 0, f"the work failed by itself: status {status:#x}"
                return calls, True
            passed_on = 0
            if os.WSTOPSIG(status) != CALL_STOP:
                passed_on = os.WSTOPSIG(status)
                continue
            inside = not inside
            if inside:
                calls += 1
                if calls == number:
                    return calls, False
    finally:
        if status == 0 or not (os.WIFEXITED(status) or os.WIFSIGNALED(status)):
            _end(child)


def _end(child: int) -> None:
    try:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):  # it has come to its end, and was waited for
        pass
