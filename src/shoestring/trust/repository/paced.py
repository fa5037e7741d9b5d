"""A socket whose patience ends: with silence, with the whole time of a request, or with too few bytes a minute.

`http.client` reads through `makefile`, and a time limit of a socket is for one call. Whoever sends a byte every few
seconds keeps such a reader for ever (slow retrieval, TUF specification 1.5.2), headers included. So the limit is
looked at before each call to the kernel.
"""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

from shoestring.base.limits import MIN_BYTES_A_WINDOW, RATE_WINDOW_SECONDS, SILENCE_SECONDS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


class PacedSocket:
    """What `http.client` uses of a socket.

    Args:
        socket: connected; closed with this one.
        whole_s: for everything from now on; None for a download, which is held to a rate instead.
        silence_s: between two pieces.
        now: monotonic, s.
    """

    def __init__(
        self,
        socket: socket.socket,
        whole_s: float | None,
        silence_s: float = SILENCE_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._socket = socket
        self._silence_s = silence_s
        self._now = now
        self._end_s = None if whole_s is None else now() + whole_s
        self._window_start_s = now()
        self._window_bytes = 0
        self._readers, self._wanted = 0, True

    def sendall(self, data: Any) -> None:
        """Send everything, or raise TimeoutError, OSError."""
        self._socket.settimeout(self._patience_s())
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """For `http.client`, which asks for "rb"."""
        self._readers += 1
        return io.BufferedReader(_Raw(self))

    def close(self) -> None:
        """Close the socket, once its last reader is closed too: `http.client` closes it first and reads on."""
        self._wanted = False
        self._close_unread()

    def reader_closed(self) -> None:
        """One reader fewer."""
        self._readers -= 1
        self._close_unread()

    def _close_unread(self) -> None:
        if not self._wanted and self._readers <= 0:
            self._socket.close()

    def receive_into(self, buffer: Any) -> int:
        """Some bytes, 0 at the end. Raises TimeoutError, OSError."""
        self._socket.settimeout(self._patience_s())
        count = self._socket.recv_into(buffer)
        self._window_bytes += count
        return count

    def _patience_s(self) -> float:
        now_s = self._now()
        if self._end_s is not None:
            if now_s >= self._end_s:
                raise TimeoutError("the answer took too long as a whole")
            return min(self._silence_s, self._end_s - now_s)
        if now_s - self._window_start_s >= RATE_WINDOW_SECONDS:
            if self._window_bytes < MIN_BYTES_A_WINDOW:
                raise TimeoutError(f"{self._window_bytes} bytes in {now_s - self._window_start_s:.0f} s are too few")
            self._window_start_s, self._window_bytes = now_s, 0
        return self._silence_s


class _Raw(io.RawIOBase):
    def __init__(self, paced: PacedSocket) -> None:
        self._paced = paced

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._paced.receive_into(buffer)

    def close(self) -> None:
        if not self.closed:
            self._paced.reader_closed()
        super().close()
