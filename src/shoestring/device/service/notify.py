"""Words to the service manager, as sd_notify(3) says: one datagram of `NAME=value` lines to a Unix socket."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEAST_S = 1.0
"""Between two signs of life at least."""


class Notifier:
    """Tells; without a service manager it says nothing to nobody.

    Args:
        environment: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are read.
        pid: of this process.

    Attributes:
        watchdog_s: within which a sign of life is expected; None where none is.
    """

    def __init__(self, environment: Mapping[str, str], pid: int | None = None) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract socket; other kinds (vsock) are for virtual machines.
        self._address = "\0" + address[1:] if address[:1] == "@" else address if address[:1] == "/" else None
        micros = environment.get("WATCHDOG_USEC", "")
        ours = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid() if pid is None else pid))
        asked = self._address is not None and ours and micros.isascii() and micros.isdigit() and int(micros) > 0
        self.watchdog_s = int(micros) / 1e6 if asked else None

    def tell(self, *lines: str) -> None:
        """Send lines such as `READY=1`."""
        if self._address is None:
            return
        # A manager that has gone cannot be told so; it may restart us, and the work goes on until then.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.settimeout(LEAST_S)
            out.sendto("\n".join(lines).encode(), self._address)


class Heart:
    """Gives signs of life while every part moves: one that stands still stops them all, and so gets us restarted.

    Args:
        notifier: to tell.
        parts: that must move, such as `frames` and `governor`.
        clock: monotonic, s.
    """

    def __init__(self, notifier: Notifier, *parts: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._notifier, self._clock = notifier, clock
        self._lock = threading.Lock()
        self._moved_s = dict.fromkeys(parts, clock())
        self._told_s: float | None = None

    def ready(self) -> None:
        """All is up."""
        self._notifier.tell("READY=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._notifier.tell("STOPPING=1")

    def beat(self, part: str) -> None:
        """A part moves."""
        limit_s = self._notifier.watchdog_s
        if limit_s is None:
            return
        with self._lock:
            now_s = self._clock()
            if part in self._moved_s:
                self._moved_s[part] = now_s
            # Half the time is for the part that stands still, half for the manager's patience.
            moves = all(now_s - moved_s <= limit_s / 2 for moved_s in self._moved_s.values())
            if not moves or (self._told_s is not None and now_s - self._told_s < min(LEAST_S, limit_s / 4)):
                return
            self._told_s = now_s
        self._notifier.tell("WATCHDOG=1")

    def without(self, part: str) -> None:
        """A part has come to its end, and that is well."""
        with self._lock:
            self._moved_s.pop(part, None)


__all__ = ["Heart", "Notifier"]
