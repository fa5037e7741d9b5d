"""The loaded rungs of a bundle that writes: lent for one answer at a time, changed between answers, within memory.

A rung that is not loaded is loaded beside the others where memory allows both; else those that rest make room, and the
ones that write are waited for. Who asks first is served first, so nobody waits for ever.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import EngineDownError, EngineFaultError
from shoestring.base.limits import MIB
from shoestring.base.resident import available_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from shoestring.device.language.nouns import Writer

SPARE_BYTES = 64 * MIB
"""Of the machine that stay free, as of other engines (`supervise.nouns.Care`)."""
LOOK_S = 0.05
"""Between two looks whether whoever waits still wants to."""


class CancelledError(Exception):
    """Nobody wants the answer any more. It never leaves the service."""


@dataclass
class _Loaded:
    writer: Writer
    leases: int = 0
    broken: bool = False


class Garage:
    """Keeps rungs loaded. Any thread may ask.

    Args:
        make: loads a rung and proves it; called without a lock, for one rung at a time.
        memory_bytes: that each rung is expected to take; one that is missing is taken for nothing.
        limit_bytes: for all loaded rungs together; None: the machine's memory is the limit.
        free_bytes: that the machine has left; None where it does not say.
        most: rungs loaded at a time, at least 1.
    """

    def __init__(
        self,
        make: Callable[[str], Writer],
        memory_bytes: Mapping[str, int],
        *,
        limit_bytes: int | None = None,
        free_bytes: Callable[[], int | None] = available_bytes,
        most: int = 2,
    ) -> None:
        self._make, self._memory, self._limit = make, memory_bytes, limit_bytes
        self._free, self._most = free_bytes, most
        self._lock = threading.Condition()
        self._line: deque[object] = deque()
        self._loaded: dict[str, _Loaded] = {}  # the one used last stands last
        self._closed = False
        self.loads = 0

    @property
    def loaded(self) -> tuple[str, ...]:
        """Rungs that are there now."""
        with self._lock:
            return tuple(self._loaded)

    @contextlib.contextmanager
    def lease(self, rung: str, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Writer]:
        """Lend a rung for one answer.

        Args:
            rung: of the bundle.
            cancelled: whether nobody wants it any more.

        Raises:
            CancelledError: so it was.
            EngineDownError: the service ends.
            ShoestringError: as `make`.
        """
        taken = self._take(rung, cancelled)
        try:
            yield taken.writer
        except EngineFaultError:
            taken.broken = True
            raise
        finally:
            self._give_back(rung, taken)

    def fits(self, *rungs: str) -> bool:
        """Whether these may be loaded at the same time."""
        with self._lock:
            return len(rungs) <= self._most and self._within([*rungs])

    def close(self) -> None:
        """Free all of them; a second call does nothing."""
        with self._lock:
            self._closed = True
            left, self._loaded = list(self._loaded.values()), {}
            self._lock.notify_all()
        for one in left:
            one.writer.close()

    def _take(self, rung: str, cancelled: Callable[[], bool]) -> _Loaded:
        ticket = object()
        with self._lock:
            self._line.append(ticket)
        try:
            return self._take_in_turn(rung, ticket, cancelled)
        finally:
            with self._lock:
                self._line.remove(ticket)
                self._lock.notify_all()

    def _take_in_turn(self, rung: str, ticket: object, cancelled: Callable[[], bool]) -> _Loaded:
        while True:
            with self._lock:
                while not (self._line[0] is ticket and self._has_place(rung)):
                    self._check(cancelled)
                    self._lock.wait(LOOK_S)
                self._check(cancelled)
                found = self._loaded.get(rung)
                if found is not None:
                    self._loaded[rung] = self._loaded.pop(rung)
                    found.leases += 1
                    return found
                out = [self._loaded.pop(name) for name in self._those_in_the_way(rung)]
            for one in out:
                one.writer.close()
            made = _Loaded(self._make(rung))
            with self._lock:
                self.loads += 1
                if not self._closed:
                    self._loaded[rung] = made
            if self._closed:
                made.writer.close()

    def _check(self, cancelled: Callable[[], bool]) -> None:
        if self._closed:
            raise EngineDownError("the service is ending", "resting", None)
        if cancelled():
            raise CancelledError

    def _has_place(self, rung: str) -> bool:
        """Whether it is there and well, or could be loaded once those that rest have gone."""
        found = self._loaded.get(rung)
        if found is not None:
            return not found.broken
        stay = [name for name, one in self._loaded.items() if one.leases]
        return not stay or (len(stay) < self._most and self._within([*stay, rung]))

    def _those_in_the_way(self, rung: str) -> list[str]:
        """Resting rungs that must go, those unused for longest first."""
        names = list(self._loaded)
        gone: list[str] = []
        for name in list(names):
            if len(names) < self._most and self._within([*names, rung]):
                break
            if not self._loaded[name].leases:
                names.remove(name)
                gone.append(name)
        return gone

    def _within(self, names: list[str]) -> bool:
        """Whether so many fit, by what they are expected to take and by what the machine has left."""
        needed = sum(self._memory.get(name, 0) for name in names)
        if self._limit is not None and needed > self._limit:
            return False
        free = self._free()
        if free is None:
            return True
        there = sum(self._memory.get(name, 0) for name in self._loaded)
        return needed <= free + there - SPARE_BYTES

    def _give_back(self, rung: str, taken: _Loaded) -> None:
        with self._lock:
            taken.leases -= 1
            drop = not taken.leases and (taken.broken or self._loaded.get(rung) is not taken)
            if drop and self._loaded.get(rung) is taken:
                del self._loaded[rung]
            self._lock.notify_all()
        if drop:
            taken.writer.close()


__all__ = ["CancelledError", "Garage"]
