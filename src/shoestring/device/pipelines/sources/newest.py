"""A live source: a thread keeps its newest frame only, so that nobody is ever answered about an old one."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shoestring.base.errors import DataError
from shoestring.device.pipelines.sources.protocol import Stale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shoestring.device.pipelines.nouns import Frame


class Capture(Protocol):
    """An open connection to a camera. `read` runs in the grabbing thread alone.

    Attributes:
        rate: frames a second as the camera says, or None.
    """

    rate: float | None

    def read(self, number: int) -> Frame | None:
        """The next frame, as late as it comes; None when the connection is lost or the stream has ended.

        Args:
            number: that it is to bear.

        Raises:
            DataError: what came is broken; the connection is then opened anew.
        """
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


@dataclass(frozen=True)
class Patience:
    """With a source that gives nothing.

    Args:
        stale_s: silence after which it is told, and how often it is told again, s.
        oldest_s: a frame that waited longer is dropped, s.
        retry_s, longest_retry_s: first pause before it is opened anew, and the longest; each pause is twice the one
            before until a frame comes, s.
        close_s: how long `close` waits for a thread that hangs in a read; it then dies with the process, s.
    """

    stale_s: float = 1.0
    oldest_s: float = 1.0
    retry_s: float = 0.5
    longest_retry_s: float = 30.0
    close_s: float = 2.0


class Newest:
    """A live source.

    Args:
        opener: opens the connection; it raises DataError where that fails, and is called again after a pause.
        name: for people.
        again: whether to open it anew when it is lost; else the source ends.
        patience: with one that gives nothing.
        clock: monotonic, s.

    Attributes:
        reopened: how many times the connection was lost or refused.
    """

    live = True

    def __init__(
        self,
        opener: Callable[[], Capture],
        name: str,
        *,
        again: bool = True,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rate: float | None = None
        self.dropped = 0
        self.reopened = 0
        self._opener, self._name, self._again, self._clock = opener, name, again, clock
        self._patience = patience or Patience()
        self._changed = threading.Condition()
        self._slot: Frame | None = None
        self._number = 0
        self._reason = ""
        self._closed = threading.Event()
        self._ended = self._broken = False
        self._since_s = clock()
        self._thread = threading.Thread(target=self._run, name=f"grab {name}", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame | Stale]:
        told_s = None
        while not self._closed.is_set():
            with self._changed:
                frame = self._take()
                if frame is None and (self._ended or self._broken):
                    break
                now_s = self._clock()
                due_s = max(self._since_s, -1.0 if told_s is None else told_s) + self._patience.stale_s
                if frame is None and now_s < due_s:
                    self._changed.wait(due_s - now_s)
                    continue
                stale = Stale(now_s, now_s - self._since_s, self._reason)
            if frame is not None:
                told_s = None
                yield frame
            else:
                told_s = now_s
                yield stale
        if self._broken:
            raise DataError(f"the reader of {self._name} broke", hint="its last words are on stderr")

    def close(self) -> None:
        """Stop the thread and give the connection back; a second call does nothing."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(self._patience.close_s)

    def _take(self) -> Frame | None:
        """The waiting frame, unless it waited too long."""
        frame, self._slot = self._slot, None
        if frame is not None and self._clock() - frame.at_s > self._patience.oldest_s:
            self.dropped += 1
            return None
        return frame

    def _put(self, frame: Frame) -> None:
        with self._changed:
            self.dropped += self._slot is not None
            self._slot, self._since_s, self._reason = frame, frame.at_s, ""
            self._changed.notify_all()

    def _run(self) -> None:
        whole = False
        try:
            self._grab()
            whole = True
        finally:  # whatever broke the thread is printed by it; the consumer must not wait for it for ever
            with self._changed:
                self._ended, self._broken = True, not whole
                self._changed.notify_all()

    def _grab(self) -> None:
        pause_s = self._patience.retry_s
        while not self._closed.is_set():
            before = self._number
            self._reason = self._connection()
            if not self._again:
                return
            self.reopened += 1
            pause_s = self._patience.retry_s if self._number > before else pause_s
            self._closed.wait(pause_s)
            pause_s = min(2 * pause_s, self._patience.longest_retry_s)

    def _connection(self) -> str:
        """Read one connection to its end. Returns why it ended."""
        try:
            capture = self._opener()
        except DataError as error:
            return error.message
        try:
            self.rate = capture.rate
            while not self._closed.is_set():
                frame = capture.read(self._number)
                if frame is None:
                    return "the connection was lost"
                self._number += 1
                self._put(frame)
        except DataError as error:
            return error.message
        finally:
            capture.close()
        return ""
