"""Engine processes that are none, on a clock that is none: a day of faults in some seconds, through the real keeper."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import EngineError, EngineFaultError, GoldenError, ShoestringError
from shoestring.device.supervise.keeper import World
from shoestring.device.supervise.nouns import Pixels, Reply
from shoestring.device.supervise.worker import Ready

if TYPE_CHECKING:
    from shoestring.device.supervise.worker import Order

FAULTS = ("crash", "hang", "memory", "flood", "nan", "shape", "fail", "idle", "load")
"""What can befall a virtual process: while it runs a frame (`crash` to `fail`), between two frames, while it loads."""
_NAMES = {"crash": "crashed", "hang": "hung", "load": "crashed"}


@dataclass
class VirtualWorld:
    """Memory, time, and every process that was started.

    Args:
        load_s: that a rung takes to load, s.
        frame_s: that a frame takes, s.
        process_bytes: resident of a process.
        memory_bytes: of the machine that processes share.
        leak_bytes: that each frame adds.
        wrong: rungs whose golden set answers otherwise here.
        now_s: the clock.
        started: processes so far.
        most: processes that were open at once.
        open: that nobody has closed.
        faults: of FAULTS, that are to come; whoever meets its kind first takes it.
    """

    load_s: float = 0.5
    frame_s: float = 0.05
    process_bytes: int = 60_000_000
    memory_bytes: int = 1_000_000_000
    leak_bytes: int = 0
    wrong: tuple[str, ...] = ()
    now_s: float = 0.0
    started: int = 0
    most: int = 0
    open: set[VirtualWorker] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def world(self) -> World:
        """For a `Keeper`."""
        return World(self.start, lambda: self.now_s, self.available)

    def start(self, order: Order) -> VirtualWorker:
        """A process that loads. One that is told to fail then does so at the first question."""
        self.started += 1
        worker = VirtualWorker(self, order.rung)
        self.open.add(worker)
        self.most = max(self.most, len(self.open))
        return worker

    def available(self) -> int:
        """Memory that no process holds, bytes."""
        return self.memory_bytes - sum(worker.size for worker in self.open)

    def take(self, *kinds: str) -> str | None:
        """The next fault of these kinds, which is then over."""
        fault = next((one for one in self.faults if one in kinds), None)
        if fault is not None:
            self.faults.remove(fault)
        return fault


class VirtualWorker:
    """See `Worker`.

    Args:
        world: that it lives in.
        rung: that it holds.
    """

    def __init__(self, world: VirtualWorld, rung: str) -> None:
        self.rung = rung
        self.size = world.process_bytes
        self._world, self._ready_s, self._there = world, world.now_s + world.load_s, True

    def poll(self) -> Ready | None:
        """See `Worker`."""
        if self._world.take("load") is not None:
            raise EngineFaultError(f"the virtual engine of {self.rung!r} failed while loading", "crashed")
        if self._world.now_s < self._ready_s:
            return None
        if self.rung in self._world.wrong:
            raise GoldenError(f"rung {self.rung!r} answers otherwise here")
        return Ready(8, self._world.frame_s)

    def infer(self, pixels: Pixels, seconds: float) -> Reply:
        """See `Worker`."""
        world = self._world
        fault = world.take(*(one for one in FAULTS if one not in ("idle", "load")))
        world.now_s += seconds if fault == "hang" else world.frame_s
        if fault is not None:
            raise _error(fault, self.rung)
        self.size += world.leak_bytes
        return Reply(np.zeros(4, np.float32), self.rung, world.frame_s, 1, False)

    def alive(self) -> bool:
        """See `Worker`."""
        if self._there and self._world.take("idle") is not None:
            self._there = False
        return self._there

    def resident_bytes(self) -> int | None:
        """See `Worker`."""
        return self.size

    def close(self) -> None:
        """See `Worker`."""
        self._world.open.discard(self)


def _error(fault: str, rung: str) -> ShoestringError:
    if fault == "fail":
        return EngineError(f"the virtual engine of {rung!r} cannot bear this")
    return EngineFaultError(f"the virtual engine of {rung!r}: {fault}", _NAMES.get(fault, fault))


__all__ = ["FAULTS", "VirtualWorker", "VirtualWorld"]
