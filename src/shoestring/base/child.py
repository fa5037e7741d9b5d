"""Run one of our functions in a fresh Python process, with limits.

The child is a new interpreter, not a fork: it shares no threads, no memory and no open files with us. Request and reply
are JSON in files that have no name; anything large travels as a file in a directory that both know.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoestring.base import errors
from shoestring.base.errors import ChildCrashedError, ChildError, ChildTimeoutError, ShoestringError
from shoestring.base.limits import MAX_CHILD_REPLY_BYTES, MAX_CHILD_STDERR_BYTES

WATCH_SECONDS = 0.05


@dataclass(frozen=True)
class ChildLimits:
    """What a child may use.

    Args:
        seconds: wall-clock time before it is killed.
        memory_bytes: address space, or None for no limit.
        resident_bytes: memory that it really holds, looked at every WATCH_SECONDS, or None for no limit. For libraries
            that reserve far more address space than they use; children of the child are not counted.
    """

    seconds: float
    memory_bytes: int | None = None
    resident_bytes: int | None = None


def run_in_child(
    target: str, request: object, limits: ChildLimits, *, env: dict[str, str] | None = None, inherit_env: bool = True
) -> Any:
    """Call `package.module:function` with `request` in a fresh process and return what it returns.

    Args:
        target: an importable function of one argument; argument and result are plain JSON values.
        request: the argument.
        limits: time and memory.
        env: variables added to the child's environment.
        inherit_env: whether the child sees our own environment, which may hold secrets.

    Raises:
        ShoestringError: the same error, of the same class, that the function raised in the child.
        ChildTimeoutError: it ran longer than `limits.seconds`.
        ChildCrashedError: it died, or hit its memory limit; the message holds the signal and the last words.
    """
    call = json.dumps({"target": target, "request": request, "memory_bytes": limits.memory_bytes})
    command = [sys.executable, "-I", "-c", _BOOTSTRAP, json.dumps(sys.path)]
    with tempfile.TemporaryFile() as calls, tempfile.TemporaryFile() as replies, tempfile.TemporaryFile() as words:
        calls.write(call.encode())
        calls.seek(0)
        process = subprocess.Popen(
            command,
            stdin=calls,
            stdout=replies,
            stderr=words,
            env={**(os.environ if inherit_env else {}), **(env or {})},
            start_new_session=True,
        )
        try:
            _wait(process, target, limits)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        replies.seek(0)
        reply = replies.read(MAX_CHILD_REPLY_BYTES + 1)
        words.seek(0, os.SEEK_END)
        words.seek(max(0, words.tell() - MAX_CHILD_STDERR_BYTES))
        last_words = words.read().decode(errors="replace").strip()
    _check_end(target, process.returncode, last_words)
    return unpack_reply(target, reply)


def _wait(process: subprocess.Popen[bytes], target: str, limits: ChildLimits) -> None:
    """Wait for the end of the child, or for the first limit that it breaks."""
    deadline = time.monotonic() + limits.seconds
    while True:
        left = deadline - time.monotonic()
        try:
            process.wait(max(0.0, left if limits.resident_bytes is None else min(left, WATCH_SECONDS)))
            return
        except subprocess.TimeoutExpired:
            pass
        if time.monotonic() >= deadline:
            raise ChildTimeoutError(f"{target} ran longer than its limit of {limits.seconds:g} s")
        held = _resident_bytes(process.pid)
        if limits.resident_bytes is not None and held > limits.resident_bytes:
            raise ChildCrashedError(
                f"{target} held {held} bytes of memory, more than the limit of {limits.resident_bytes}, and was ended"
            )


def _resident_bytes(pid: int) -> int:
    """Second figure of /proc/PID/statm, in pages (proc_pid_statm(5)); 0 when the process has gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _check_end(target: str, code: int, last_words: str) -> None:
    if code != 0:
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
        tail = last_words.splitlines()[-1] if last_words else "no last words"
        raise ChildCrashedError(f"{target} died {how}: {tail}")


def unpack_reply(target: str, reply: bytes) -> Any:
    """The result in what `serve_one_call` wrote.

    Args:
        target: what was called, for messages.
        reply: bytes of its stdout.

    Raises:
        ShoestringError: the one that the function raised there.
        ChildError: more than the limit.
        ValueError, KeyError, TypeError: this is no reply; not from a child of ours.
    """
    if len(reply) > MAX_CHILD_REPLY_BYTES:
        raise ChildError(f"{target} answered more than the limit of {MAX_CHILD_REPLY_BYTES} bytes")
    answer = json.loads(reply)
    if "error" in answer:
        kind = getattr(errors, answer["error"], None)
        if not (isinstance(kind, type) and issubclass(kind, ShoestringError)):
            raise ValueError(f"{target} answered an error of no kind of ours")
        error = kind.__new__(kind)
        ShoestringError.__init__(error, answer["message"], hint=answer["hint"])
        raise error
    return answer["result"]


def serve_one_call() -> None:
    """The child's side: read one call from stdin, answer on stdout. Library chatter on stdout goes to stderr."""
    import importlib

    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    call = json.load(sys.stdin)
    if call["memory_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_AS, (call["memory_bytes"], call["memory_bytes"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    module, _, name = call["target"].partition(":")
    try:
        answer = {"result": getattr(importlib.import_module(module), name)(call["request"])}
    except ShoestringError as error:
        answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    except MemoryError:
        sys.exit(f"MemoryError: more than the limit of {call['memory_bytes']} bytes")
    json.dump(answer, out, allow_nan=False)
    out.flush()


_BOOTSTRAP = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from shoestring.base.child import serve_one_call; serve_one_call()"
)
