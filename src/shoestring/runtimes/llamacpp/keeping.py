"""Keeps the process of a writer: a thread that starts it, watches it while others talk to it, and ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import EngineFaultError, ShoestringError
from shoestring.runtimes.guard_process import GuardProcess, Question

if TYPE_CHECKING:
    from shoestring.runtimes.guarded import Limits

LOOK_SECONDS = 0.05
"""Between two looks at the memory of the process; its end is noticed at once."""
FOREVER_SECONDS = float("inf")


class Keeper:
    """One process with a server in it. Any thread may call it.

    The process ends with the thread that starts it, so that thread is one of ours that does nothing else. The socket
    loses its name as soon as the process listens: nobody can find it who does not have it open.

    Args:
        who: for messages.
        serve: `module:function` that the process runs.
        request: for its `_do_load`; `socket` is added.
        limits: time for loading, and memory.

    Raises:
        ShoestringError: what the process raised while loading.
        EngineFaultError: it crashed, hung or went past its limit.
    """

    def __init__(self, who: str, serve: str, request: dict[str, Any], limits: Limits) -> None:
        self.who = who
        self._serve, self._request, self._limits = serve, request, limits
        self._started = threading.Event()
        self._ending = threading.Event()
        self._fault: ShoestringError | None = None
        self._lock = threading.Lock()
        self._socket: int | None = None
        self._process: GuardProcess | None = None
        self.told: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._keep, name="writer-keeper", daemon=True)
        self._thread.start()
        try:
            self._started.wait()
        except BaseException:
            self.close()
            raise
        if self._fault is not None:
            self._thread.join()
            raise self._fault

    @property
    def address(self) -> str:
        """Where the server listens, for this process alone. Raises EngineFaultError when it is gone."""
        with self._lock:
            if self._socket is None:
                raise self.fault()
            return f"/proc/self/fd/{self._socket}"

    def alive(self) -> bool:
        """Whether nothing is known to be wrong with it."""
        return self._fault is None and not self._ending.is_set()

    def fault(self, wait_s: float = 0.0) -> EngineFaultError:
        """Why it is gone; a crash is known a moment after its connections break.

        Args:
            wait_s: for it to be known.
        """
        self._thread.join(wait_s)
        if isinstance(self._fault, EngineFaultError):
            return EngineFaultError(self._fault.message, self._fault.fault, hint=self._fault.hint)
        return EngineFaultError(f"{self.who} broke off and is still there", "crashed")

    def condemn(self, fault: EngineFaultError) -> None:
        """End the process for what somebody else saw, such as silence."""
        if self._fault is None:
            self._fault = fault
        self._ending.set()

    def peak_rss_bytes(self) -> int | None:
        """Peak resident memory so far, Python included; None when it is gone."""
        process = self._process
        return None if process is None else process.peak_rss_bytes()

    def resident_bytes(self) -> int | None:
        """Memory that it holds now; None when it is gone."""
        process = self._process
        return None if process is None else process.resident_bytes()

    def close(self) -> None:
        """End the process; a second call does nothing."""
        self._ending.set()
        self._thread.join()

    def _keep(self) -> None:
        try:
            self._live()
        except ShoestringError as error:
            if self._fault is None and not self._ending.is_set():
                self._fault = error
        finally:
            if self._process is not None:
                self._process.close()
            with self._lock:
                if self._socket is not None:
                    os.close(self._socket)
                self._socket = None
            self._started.set()

    def _live(self) -> None:
        self._process = process = GuardProcess(self.who, self._limits.memory_bytes, serve=self._serve)
        with tempfile.TemporaryDirectory(prefix="shoestring-", dir=_short_folder()) as folder:  # mode 0700
            place = str(Path(folder, "s.sock"))
            process.put(Question({"do": "load", **self._request, "socket": place}, "loading", self._limits.load_s))
            if not self._wait(process):
                return
            self.told = process.take()
            self._socket = os.open(place, os.O_PATH | os.O_CLOEXEC)
        process.put(Question({"do": "wait"}, "writing", FOREVER_SECONDS))
        self._started.set()
        self._wait(process)

    def _wait(self, process: GuardProcess) -> bool:
        """Until the process answers, which it does once, or until it shall end: False."""
        while not self._ending.is_set():
            if process.poll(LOOK_SECONDS):
                return True
        return False


def kill_process(keeper: Keeper) -> None:
    """Kill the process of a keeper as a crash would: for tests of what follows."""
    process = keeper._process
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.process.pid, signal.SIGSEGV)


def _short_folder() -> str | None:
    """Where temporary files go, unless a socket's name there would not fit its 107 bytes (unix(7))."""
    return None if len(os.fsencode(tempfile.gettempdir())) < 60 else "/tmp"


__all__ = ["Keeper", "kill_process"]
