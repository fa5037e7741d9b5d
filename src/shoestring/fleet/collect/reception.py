"""What happens to a report whichever way it came: verified, let in, kept, and only then confirmed."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base import canonical
from shoestring.base.errors import DataError, ShoestringError, SignatureError
from shoestring.fleet.collect.store import OTHER, Received
from shoestring.trust.sealed_report import open_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.fleet.collect.store import Store

BATCH = 200
"""Reports in one commit: the disk syncs once for all that wait, a second of a busy fleet."""
WAITING = 5_000
"""Reports that wait for the disk; one more, and its device is told to come back."""
FORGET_EVERY_S = 3_600.0
_END = object()


class Unwelcome(Exception):  # noqa: N818 - an answer, not an error of ours
    """A report that is not taken.

    Args:
        kind: `form`, `signature`: not a device's word. `stranger`: not on the list. `number`: another report came under
            that number. `busy`, `disk`: not now.
        words: for people.
    """

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind, self.words = kind, words


@dataclass(frozen=True)
class Keeping:
    """How long reports are kept.

    Args:
        days: after that they are forgotten.
        clock: s since 1970.
    """

    days: int
    clock: Callable[[], float] = time.time


class Reception:
    """Takes reports from any thread; one thread of its own writes them.

    Args:
        store: to keep them in; it is closed at the end.
        keeping: for how long.
        devices: ids that may report; None: every device.

    Attributes:
        taken: reports kept so far.
        refused: counts by the kind of `Unwelcome`.
        trouble: what is wrong with the disk, for people; None when all is well.
    """

    def __init__(self, store: Store, keeping: Keeping, devices: frozenset[str] | None) -> None:
        self._store, self._keeping, self._devices = store, keeping, devices
        self._waiting: queue.Queue[tuple[Received, Future[str]] | object] = queue.Queue(WAITING)
        self.taken = 0
        self.refused: dict[str, int] = {}
        self.trouble: str | None = None
        self._forget_at_s = 0.0
        self._thread = threading.Thread(target=self._write, name="reports", daemon=True)
        self._thread.start()

    def take(self, data: bytes) -> Future[str]:
        """Verify a report and hand it to the writer; the future ends when it is on the disk.

        Returns:
            Its result is STORED or KNOWN; its exception an `Unwelcome`.

        Raises:
            Unwelcome: it is refused at once.
        """
        try:
            report = open_report(data)
        except DataError as error:
            raise self._no("form", error.message) from None
        except SignatureError as error:
            raise self._no("signature", error.message) from None
        if self._devices is not None and report.device not in self._devices:
            raise self._no("stranger", f"the device {report.device} is not on the list of devices")
        future: Future[str] = Future()
        received = Received(report, canonical.sha256_hex(data), int(self._keeping.clock()))
        try:
            self._waiting.put_nowait((received, future))
        except queue.Full:
            raise self._no("busy", f"{WAITING} reports wait for the disk, the limit") from None
        return future

    def close(self) -> None:
        """Write what waits, then end; a second call does nothing."""
        if self._thread.is_alive():
            self._waiting.put(_END)
            self._thread.join()
        self._store.close()

    def _no(self, kind: str, words: str) -> Unwelcome:
        self.refused[kind] = self.refused.get(kind, 0) + 1
        return Unwelcome(kind, words)

    def _write(self) -> None:
        """The writer's thread."""
        ending = False
        while not ending:
            self._forget()
            batch: list[tuple[Received, Future[str]]] = []
            try:
                items = [self._waiting.get(timeout=FORGET_EVERY_S)]
            except queue.Empty:
                continue
            while len(items) < BATCH and not self._waiting.empty():
                items.append(self._waiting.get_nowait())
            for item in items:
                if isinstance(item, tuple):
                    batch.append(item)
                else:
                    ending = True
            if batch:
                self._keep(batch)

    def _keep(self, batch: list[tuple[Received, Future[str]]]) -> None:
        try:
            became = self._store.add([received for received, _ in batch])
        except ShoestringError as error:
            self.trouble = error.message
            for _, future in batch:
                future.set_exception(self._no("disk", "the report could not be kept; send it again later"))
            return
        self.trouble = None
        for (received, future), how in zip(batch, became, strict=True):
            if how == OTHER:
                words = f"another report of the device has the number {received.report.sequence}"
                future.set_exception(self._no("number", words))
            else:
                self.taken += 1
                future.set_result(how)

    def _forget(self) -> None:
        if time.monotonic() < self._forget_at_s:
            return
        self._forget_at_s = time.monotonic() + FORGET_EVERY_S
        try:
            self._store.forget(int(self._keeping.clock()) - self._keeping.days * 86_400)
        except ShoestringError as error:
            self.trouble = error.message
