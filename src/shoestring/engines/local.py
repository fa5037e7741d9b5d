"""Worker processes on this machine: fresh interpreters that take tasks as JSON lines and share files with us.

A worker that dies takes one task with it; a new one gets that task. (`concurrent.futures` gives up its whole pool.)
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from shoestring.base.errors import ChildCrashedError, ShoestringError
from shoestring.engines.protocol import RETRIES, Blob, Task
from shoestring.engines.work import THREAD_VARIABLES, unpack

_BOOTSTRAP = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from pathlib import Path; "
    "from shoestring.engines.work import serve; serve(Path(sys.argv[2]))"
)


class LostError(Exception):
    """A worker died while it had a task; never leaves this module."""


class Worker:
    """One process. Not shared between threads.

    Args:
        folder: where results are written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-I", "-c", _BOOTSTRAP, json.dumps(sys.path), str(folder)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
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

    def end(self) -> str:
        """Kill the process and say how it ended."""
        with contextlib.suppress(ProcessLookupError):
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"


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

    def map(self, tasks: Sequence[Task], done: Callable[[int, int], None]) -> list[bytes]:
        """See `Engine.map`."""
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(tasks)):
            waiting.put(number)
        finished: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()
        results: dict[int, bytes | ShoestringError] = {}
        stop = threading.Event()

        def work() -> None:
            try:
                while not stop.is_set():
                    try:
                        number = waiting.get_nowait()
                    except queue.Empty:
                        return
                    try:
                        results[number] = self._run(tasks[number], number)
                    except ShoestringError as error:
                        results[number] = error
                        stop.set()
                    finished.put(number)
            except BaseException as error:  # handed to the caller's thread, which raises it
                finished.put(error)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(self.workers, len(tasks)))]
        for thread in threads:
            thread.start()
        try:
            self._wait(threads, finished, results, len(tasks), done)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            for path in {self._folder / blob.sha256 for task in tasks for blob in task.blobs.values()}:
                path.unlink(missing_ok=True)
        for number in sorted(results):
            result = results[number]
            if isinstance(result, ShoestringError):
                raise result
        return [data for number in range(len(tasks)) if isinstance(data := results[number], bytes)]

    @staticmethod
    def _wait(
        threads: Sequence[threading.Thread],
        finished: queue.SimpleQueue[int | BaseException],
        results: dict[int, bytes | ShoestringError],
        count: int,
        done: Callable[[int, int], None],
    ) -> None:
        """Until all tasks are done or no thread is left; `done` is called in this thread."""
        number = 0
        while number < count and (any(thread.is_alive() for thread in threads) or not finished.empty()):
            with contextlib.suppress(queue.Empty):
                one = finished.get(timeout=0.2)
                if isinstance(one, BaseException):
                    raise one
                number += 1
                done(number, count)

    def _run(self, task: Task, number: int) -> bytes:
        """One task on one worker, and on another when that one is lost."""
        blobs = {name: str(self._file(blob)) for name, blob in task.blobs.items()}
        ends = []
        for attempt in range(RETRIES + 1):
            try:
                worker = self._idle.pop()
            except IndexError:
                worker = Worker(self._folder)
            try:
                result = worker.call(task.target, dict(task.arguments), blobs, f"result-{number}-{attempt}")
            except LostError:
                ends.append(worker.end())
            except ShoestringError:
                self._idle.append(worker)
                raise
            except BaseException:
                worker.end()
                raise
            else:
                self._idle.append(worker)
                return result
        raise ChildCrashedError(f"{task.target}: its worker died {len(ends)} times, the last one {ends[-1]}")

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
