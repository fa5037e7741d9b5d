"""One answer as it is written. Whoever stops listening frees the slot at once."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import EngineFaultError, ShoestringError
from shoestring.runtimes.llamacpp.asking import DEADLINE, Options, Piece
from shoestring.runtimes.llamacpp.events import Reader, refusal
from shoestring.runtimes.llamacpp.talking import next_event, post, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.runtimes.llamacpp.keeping import Keeper

DYING_SECONDS = 1.0
"""That a process whose connections broke gets to be known as dead."""


class Stream:
    """The pieces of one answer, as an iterator; the last one has `finish` and `usage`.

    One thread iterates; any may `cancel`. It is also a context manager that closes itself.

    Args:
        keeper: of the process that answers.
        path: of the endpoint.
        body: of the request.
        options: as the body has them.
        silence_s: without a sign of life, after which the engine is taken to hang.
        started_s: monotonic clock when the deadline began to run.
        release: called once, when the slot is free.

    Raises:
        DataError: the prompt is too long, or the engine finds the request wrong.
        EngineFaultError: the process died or hangs.
    """

    def __init__(
        self,
        keeper: Keeper,
        path: str,
        body: dict[str, Any],
        options: Options,
        silence_s: float,
        started_s: float,
        release: Callable[[], None],
    ) -> None:
        self._keeper, self._options, self._silence_s, self._release = keeper, options, silence_s, release
        self._reader = Reader(keeper.who)
        self._ready: deque[Piece] = deque()
        self._lock = threading.Lock()
        self._open, self._cancelled = True, False
        self._until_s = None if options.deadline_s is None else started_s + options.deadline_s
        self._socket: socket.socket | None = None
        try:
            # The head comes with the first event, which an engine in good health sends before it reads the prompt.
            connection, self._response = post(keeper.address, path, body, silence_s)
            self._connection = connection
            self._socket = connection.sock
            if self._response.status != http.client.OK:
                raise self._refused()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._broken(error) from error
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Piece:
        while not self._ready:
            if not self._open:
                raise StopIteration
            try:
                self._advance()
            except BaseException:
                self.close()
                raise
        piece = self._ready.popleft()
        if piece.finish is not None:
            self.close()
        return piece

    def cancel(self) -> None:
        """Stop the answer, from any thread; the iterator ends without a last piece. The slot is free at once."""
        self._cancelled = True
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop the answer if it still goes on; a second call does nothing. For the thread that iterates."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            self._socket = None
        if hasattr(self, "_connection"):
            self._response.close()
            self._connection.close()
        self._release()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_release"):
            self.close()

    def _advance(self) -> None:
        if self._until_s is not None and time.monotonic() >= self._until_s:
            self._ready.append(self._reader.cut(DEADLINE))
            return
        try:
            self._set_timeout()
            event = next_event(self._response, self._keeper.who)
            if event is not None:
                self._take(event)
        except EngineFaultError as fault:  # an engine that talks nonsense is started anew
            self._keeper.condemn(fault)
            raise
        except (OSError, http.client.HTTPException, AttributeError) as error:
            # AttributeError: http.client's own, where another thread shut the socket under it.
            if self._cancelled:
                self.close()
            elif isinstance(error, TimeoutError) and self._late():
                self._ready.append(self._reader.cut(DEADLINE))
            else:
                raise self._broken(error) from error
            return
        if event is None:
            if not self._cancelled:
                raise self._broken(None)
            self.close()

    def _take(self, event: dict[str, Any]) -> None:
        for piece in self._reader.pieces(event):
            if piece.progress is None or self._options.progress:
                self._ready.append(piece)

    def _set_timeout(self) -> None:
        with self._lock:
            if self._socket is not None:
                left = self._silence_s if self._until_s is None else self._until_s - time.monotonic()
                self._socket.settimeout(max(0.001, min(self._silence_s, left)))

    def _late(self) -> bool:
        return self._until_s is not None and time.monotonic() >= self._until_s

    def _refused(self) -> ShoestringError:
        answer = whole(self._response, self._keeper.who)
        return refusal(self._keeper.who, answer.get("error") if isinstance(answer, dict) else answer)

    def _broken(self, error: BaseException | None) -> EngineFaultError:
        return broken(self._keeper, error, self._silence_s)


def broken(keeper: Keeper, error: BaseException | None, silence_s: float) -> EngineFaultError:
    """What it was that broke a connection: silence, for which the process is ended, or its death."""
    if isinstance(error, TimeoutError):
        words = f"{keeper.who} failed while writing: no sign of life within the limit of {silence_s:g} s; killed"
        keeper.condemn(EngineFaultError(words, "hung"))
    fault = keeper.fault(DYING_SECONDS)
    if keeper.alive():  # nobody knows what it is doing: it is started anew
        keeper.condemn(fault)
    return fault


__all__ = ["Stream", "broken"]
