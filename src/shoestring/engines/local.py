"""Worker processes on this machine: fresh interpreters that take tasks as JSON lines and share files with us.

A worker that dies takes one task with it; a new one gets that task. (`concurrent.futures` gives up its whole pool.)
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import TracebackType
from typing import Any

from shoestring.base.errors import ChildCrashedError, ShoestringError
from shoestring.base.limits import MAX_CHILD_STDERR_BYTES
from shoestring.engines.protocol import RETRIES, Blob, Task
from shoestring.engines.work import THREAD_VARIABLES, unpack

_BOOTSTRAP = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from pathlib import Path; "
    "from shoestring.engines.work import serve; serve(Path(sys.argv[2]))"
)


DYING_SECONDS = 5.0
"""That a worker which has closed its pipe gets to end by itself, so that we can say how it did."""


class LostError(Exception):
    """A worker died while it had a task; never leaves this module."""


class Worker:
    """One process. Not shared between threads.

    Args:
        folder: where results are written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `end`
        command = [sys.executable, "-I", "-c", _BOOTSTRAP, json.dumps(sys.path), str(folder)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")},
            start_new_session=True,
        )

    def call(self, target: str, arguments: Any, blobs: dict[str, str], result: str) -> bytes:
        """Raises LostError when the process dies, and what the task raises."""
        assert self.process.stdin is not None and self.process.stdout is not None  # we asked for pipes
        line = json.dumps({"target": target, "arguments": arguments, "blobs": blobs, "result": result})
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except OSError:
            raise LostError from None
        if not answer.endswith(b"\n"):
            raise LostError
        path = self.folder / result
        data = path.read_bytes()
        path.unlink()
        return unpack(target, json.loads(answer), data)

    def kill(self) -> None:
        """End the process; a call that waits for it then raises LostError. May be called from another thread."""
        with contextlib.suppress(ProcessLookupError):
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)

    def end(self, seconds: float = 0.0) -> str:
        """Kill the process, unless it ends by itself in this time, and say how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        self.kill()
        code = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
        with self._words as words:
            words.seek(max(0, words.seek(0, os.SEEK_END) - MAX_CHILD_STDERR_BYTES))
            lines = words.read().decode(errors="replace").split("\n")
        return f"{how}: {next((line for line in reversed(lines) if line.strip()), 'no last words')}"


class LocalEngine:
    """A pool of worker processes.

    Args:
        workers: at least 1.
    """

    name = "local"

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._scratch = tempfile.TemporaryDirectory(prefix="shoestring-")
        self._folder = Path(self._scratch.name)
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._stopping = False

    def map(self, tasks: Sequence[Task], done: Callable[[int, int], None]) -> list[bytes]:
        """See `Engine.map`."""
        self._stopping = False
        pool = ThreadPoolExecutor(self.workers)  # a thread waits for a process
        try:
            futures = [pool.submit(self._run, task, number) for number, task in enumerate(tasks)]
            for number, future in enumerate(as_completed(futures), 1):
                if future.exception() is not None:
                    break
                done(number, len(tasks))
            else:
                return [future.result() for future in futures]
            # Tasks were begun in order, so all before a failed one have begun and may end: the first error is raised.
            pool.shutdown(cancel_futures=True)
            return [future.result() for future in futures]
        finally:
            self._stopping = True
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in list(self._busy):
                worker.kill()
            pool.shutdown()
            for path in {self._folder / blob.sha256 for task in tasks for blob in task.blobs.values()}:
                path.unlink(missing_ok=True)

    def _run(self, task: Task, number: int) -> bytes:
        """One task on one worker, and on another when that one is lost."""
        blobs = {name: str(self._file(blob)) for name, blob in task.blobs.items()}
        lost = ""
        for attempt in range(RETRIES + 1):
            if self._stopping:
                break
            try:
                worker = self._idle.pop()
            except IndexError:
                worker = Worker(self._folder)
            self._busy.add(worker)
            try:
                result = worker.call(task.target, dict(task.arguments), blobs, f"result-{number}-{attempt}")
            except LostError:
                lost = worker.end(DYING_SECONDS)
            except ShoestringError:
                self._idle.append(worker)
                raise
            else:
                self._idle.append(worker)
                return result
            finally:
                self._busy.discard(worker)
        raise ChildCrashedError(f"{task.target}: its worker died again and again, the last one {lost}")

    def _file(self, blob: Blob) -> Path:
        """Where workers find the bytes; written once in a `map`."""
        if isinstance(blob.data, Path):
            return blob.data.absolute()
        path = self._folder / blob.sha256
        if not path.exists():
            temporary = path.with_name(f"{blob.sha256}-{threading.get_ident()}")
            temporary.write_bytes(blob.data)
            temporary.replace(path)
        return path

    def close(self) -> None:
        """See `Engine.close`."""
        while self._idle:
            self._idle.pop().end()
        self._scratch.cleanup()

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
