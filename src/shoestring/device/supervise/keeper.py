"""The heart of supervision: which process answers, which one comes next, and what follows when one breaks.

There are at most three processes: the active one answers; the warm one holds another rung (or, where none may run, the
same) and takes over at once; the coming one is loading. Nothing waits: `tend` does what is due and returns, so one
thread and any clock will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import (
    DataError,
    EngineDownError,
    EngineError,
    EngineFaultError,
    ShoestringError,
    TrustError,
    UsageError,
)
from shoestring.device.supervise.book import Book
from shoestring.device.supervise.nouns import LEAST_LOAD_S, LOAD_FACTOR, Care, Pixels, Reply, RungState, frame_limit_s
from shoestring.device.supervise.worker import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shoestring.device.supervise.failures import Policy
    from shoestring.device.supervise.worker import Worker

LOOK_S = 1.0
"""Between two looks at what changes slowly: memory, age, whether the warm process is there."""


@dataclass
class _Held:
    """A process and what its keeper knows of it.

    Args:
        worker: the process.
        since_s: when it was started, s.
        spare: whether it was started to be kept warm.
        limit_s: of one frame, s.
        frames: that it answered.
        bytes_ready: resident when it was ready; None when nothing told.
    """

    worker: Worker
    since_s: float
    spare: bool
    limit_s: float = 0.0
    frames: int = 0
    bytes_ready: int | None = None

    @property
    def rung(self) -> str:
        return self.worker.rung


@dataclass(frozen=True)
class World:
    """What the keeper depends on, so that a soak of a day can be had in a second.

    Args:
        start: starts a process; it raises EngineFaultError when none can be.
        clock: monotonic, s.
        available: memory that the machine has left, bytes; None when it does not say.
    """

    start: Callable[[Order], Worker]
    clock: Callable[[], float]
    available: Callable[[], int | None]


class Keeper:
    """Keeps an engine running.

    Args:
        rungs: that may run, from cheap to dear; at least one.
        wanted: the one to begin with.
        expected: bytes that a process with each rung is expected to hold.
        world: processes, clock and memory.
        care: limits.
        policy: of failures.
        fall: whether another rung answers while the wanted one cannot.
    """

    def __init__(
        self,
        rungs: tuple[str, ...],
        wanted: str,
        expected: Mapping[str, int],
        world: World,
        *,
        care: Care,
        policy: Policy,
        fall: bool,
    ) -> None:
        self.names, self.wanted = rungs, wanted
        self._world, self._care, self._fall = world, care, fall
        self._book = Book(rungs, policy)
        self._expected = dict(expected)
        self._load_s: dict[str, float] = {}
        self._active: _Held | None = None
        self._warm: _Held | None = None
        self._coming: _Held | None = None
        self._next_look_s = float("-inf")
        self.started = 0
        self.closed = False

    @property
    def running(self) -> str | None:
        return None if self._active is None else self._active.rung

    @property
    def processes(self) -> int:
        """That are there now."""
        return sum(1 for one in (self._active, self._warm, self._coming) if one is not None)

    def states(self) -> tuple[RungState, ...]:
        """Of every rung, in order."""
        return tuple(self._book.state(name, self._world.clock()) for name in self.names)

    def take_failures(self) -> tuple[tuple[str, int], ...]:
        """See `Engine.take_failures`."""
        return self._book.take_failures()

    def tend(self) -> None:
        """Do what is due; it waits for nothing."""
        if self.closed:
            return
        now = self._world.clock()
        self._receive(now)
        looking = now >= self._next_look_s
        if looking:
            self._next_look_s = now + LOOK_S
            self._look()
        self._decide(self._world.clock(), looking)  # after what was just lost, whose restart may be due at once

    def infer(self, pixels: Pixels) -> Reply:
        """See `Engine.infer`; the pixels are known to fit."""
        if self.closed:
            raise EngineError("this engine was closed", hint="open the bundle again")
        self.tend()
        held = self._active
        if held is None:
            raise self.down()
        try:
            reply = held.worker.infer(pixels, held.limit_s)
        except DataError:  # of the caller: the engine has not seen it
            raise
        except ShoestringError as error:
            self._active = None
            self._lose(held, error)
            self._decide(self._world.clock(), looking=False)
            raise
        except BaseException:  # interrupted: the process may still be at the frame
            self._active = None
            held.worker.close()
            raise
        held.frames += 1
        return reply

    def close(self) -> None:
        """End every process; a second call does nothing."""
        self.closed = True
        for held in (self._active, self._warm, self._coming):
            if held is not None:
                held.worker.close()
        self._active = self._warm = self._coming = None

    # --- what happened -----------------------------------------------------------------------------------------

    def _receive(self, now: float) -> None:
        """Take in the coming process once it is ready."""
        coming = self._coming
        if coming is None:
            return
        try:
            ready = coming.worker.poll()
        except (TrustError, UsageError) as error:  # golden set, bundle, missing package: trying makes it no better
            self._coming = None
            coming.worker.close()
            self._book.refused(coming.rung, error)
            return
        except ShoestringError as error:
            self._coming = None
            self._lose(coming, error)
            return
        if ready is None:
            return
        self._coming = None
        self._book.proven(coming.rung, ready)
        self._load_s[coming.rung] = max(now - coming.since_s, self._load_s.get(coming.rung, 0.0))
        coming.limit_s = frame_limit_s(self._care, ready.frame_s)
        coming.bytes_ready = coming.worker.resident_bytes()
        self._expected[coming.rung] = coming.bytes_ready or self._expected.get(coming.rung, 0)
        self._install(coming, now)

    def _install(self, held: _Held, now: float) -> None:
        """A ready process gets its place: that of the active one where it holds what shall run, else the warm one."""
        target = self._target(now)
        if self._active is None or (held.rung == target and not (held.spare and self.running == target)):
            old, self._active = self._active, held
            if old is None:
                return
            if old.rung == held.rung:  # replaced before it breaks
                old.worker.close()
                return
            held = old
        self._drop_warm()
        if self._care.warm and (held.rung == target or self._book.usable(held.rung, now)):
            self._warm = held
        else:
            held.worker.close()

    def _lose(self, held: _Held, error: ShoestringError) -> None:
        """A process broke, or did not come up."""
        held.worker.close()
        self._book.failed(held.rung, error, self._world.clock())

    def _look(self) -> None:
        """At what changes slowly."""
        if self._warm is not None and not self._warm.worker.alive():
            warm, self._warm = self._warm, None
            self._lose(warm, EngineFaultError(f"the waiting engine of rung {warm.rung!r} died", "crashed"))
        if self._active is not None and not self._active.worker.alive():
            active, self._active = self._active, None
            self._lose(active, EngineFaultError(f"the engine of rung {active.rung!r} died between frames", "crashed"))
        limit = self._care.memory_bytes
        if limit is not None and self._warm is not None and self._held_bytes() > limit:
            self._drop_warm()

    # --- what follows ------------------------------------------------------------------------------------------

    def _decide(self, now: float, looking: bool) -> None:
        """Bring the processes nearer to what they should be."""
        target = self._target(now)
        tired = looking and self._tired(now)
        self._take_warm(target, tired)
        need, urgent = self._need(target, now, looking, tired)
        if self._coming is not None:
            if need is None or not urgent or self._coming.rung == need:
                return
            self._coming.worker.close()
            self._coming = None
        if need is not None and now >= self._book.next_try_s(need) and self._room(need, urgent):
            self._start(need, now, spare=not urgent)

    def _take_warm(self, target: str | None, tired: bool) -> None:
        """Let the warm process answer where it does that better than the active one."""
        warm = self._warm
        if warm is None or target is None:
            return
        if warm.rung == target and (self.running != target or tired):
            self._active, self._warm = warm, self._active
            if self._warm is not None and self._warm.rung == target:  # what is tired is not kept
                self._drop_warm()
        elif self._active is None and self._fall:
            self._active, self._warm = warm, None

    def _need(self, target: str | None, now: float, looking: bool, tired: bool) -> tuple[str | None, bool]:
        """The rung that another process should hold, and whether it shall answer as soon as it can."""
        if target is not None and (self.running != target or (tired and self._tired(now))):
            return target, True
        if looking and target is not None and self._care.warm and self._warm is None:
            return self._neighbour(target, now), False
        return None, False

    def _start(self, rung: str, now: float, *, spare: bool) -> None:
        limit_s = self._care.load_s
        if rung in self._load_s:
            limit_s = min(limit_s, max(LEAST_LOAD_S, LOAD_FACTOR * self._load_s[rung]))
        self.started += 1
        try:
            self._coming = _Held(self._world.start(Order(rung, self._care.memory_bytes, limit_s)), now, spare)
        except EngineFaultError as error:
            self._book.failed(rung, error, now)

    def _target(self, now: float) -> str | None:
        """The rung that shall answer: the wanted one, else the nearest cheaper one, else the nearest dearer one."""
        order = self._order(self.wanted) if self._fall else (self.wanted,)
        for name in order:
            if self._book.usable(name, now):
                return name
        # All of them rest: better the one that runs, or the one whose wait ends first, than none.
        left = [name for name in order if self._book.possible(name)]
        if self.running in left:
            return self.running
        return min(left, key=self._book.next_try_s, default=None)

    def _neighbour(self, target: str, now: float) -> str:
        """The rung to keep warm beside `target`: one that the next move may want, else the same once more."""
        for name in self._order(target)[1:] if self._fall else ():
            if self._book.usable(name, now):
                return name
        return target

    def _order(self, rung: str) -> tuple[str, ...]:
        """`rung`, then what is cheaper from the dearest on, then what is dearer from the cheapest on."""
        place = self.names.index(rung)
        return (rung, *reversed(self.names[:place]), *self.names[place + 1 :])

    def _tired(self, now: float) -> bool:
        """Whether the active process is to be replaced before it breaks."""
        held, care = self._active, self._care
        if held is None:
            return False
        if care.recycle_frames is not None and held.frames >= care.recycle_frames:
            return True
        if care.recycle_s is not None and now - held.since_s >= care.recycle_s:
            return True
        size = held.worker.resident_bytes()
        return size is not None and held.bytes_ready is not None and size - held.bytes_ready > care.growth_bytes

    def _room(self, rung: str, urgent: bool) -> bool:
        """Make room for one more process: nothing goes for a warm one, the warm one and then the active one else."""
        if self._fits(rung):
            return True
        if not urgent:
            return False
        self._drop_warm()
        if not self._fits(rung) and self._active is not None:
            self._active.worker.close()
            self._active = None
        return True

    def _fits(self, rung: str) -> bool:
        """Whether a process with `rung` finds memory beside those that are there; alone it always may try."""
        if self._active is None and self._warm is None:
            return True
        expected = self._expected.get(rung) or self._held_bytes()  # of the one that runs, where nobody measured it
        limit, available = self._care.memory_bytes, self._world.available()
        within = limit is None or self._held_bytes() + expected <= limit
        return within and (available is None or available - expected >= self._care.spare_bytes)

    def _held_bytes(self) -> int:
        held = (one.worker.resident_bytes() for one in (self._active, self._warm) if one is not None)
        return sum(one or 0 for one in held)

    def _drop_warm(self) -> None:
        if self._warm is not None:
            self._warm.worker.close()
            self._warm = None

    # --- what is said ------------------------------------------------------------------------------------------

    def down(self) -> EngineDownError:
        """Why nobody answers, and when that is tried to be changed."""
        fault, why = self._book.last_fault, self._book.last_words
        now = self._world.clock()
        if self._coming is not None:
            return EngineDownError(f"rung {self._coming.rung!r} is being loaded; before that: {why}", fault, 0.0)
        target = self._target(now)
        if target is None:
            hint = "fit again on this kind of machine, or take another bundle"
            return EngineDownError(f"no rung runs on this device: {why}", fault, None, hint=hint)
        wait_s = max(0.0, self._book.next_try_s(target) - now)
        return EngineDownError(f"rung {target!r} is tried again in {wait_s:.1f} s: {why}", fault, wait_s)


__all__ = ["LOOK_S", "Keeper", "World"]
