"""An engine in processes of its own: whatever it does there, this process goes on."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import DataError, UsageError
from shoestring.base.resident import available_bytes
from shoestring.bundle import open_bundle
from shoestring.device.supervise.failures import Policy
from shoestring.device.supervise.keeper import Keeper, World
from shoestring.device.supervise.nouns import CASCADE, Care, Pixels, Reply, RungState
from shoestring.device.supervise.worker import Order, ProcessWorker, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from shoestring.bundle import Bundle
    from shoestring.domain.manifest import Manifest

WAIT_STEP_S = 0.005


class SupervisedEngine:
    """Rungs of a bundle, each in a process of its own. Any thread may call it; calls take turns.

    The first rung starts loading at once; `infer` says that there is no engine until it is ready (`wait_ready`).

    Args:
        bundle: path of a bundle, which is opened and verified, or one that is open and stays so.
        rungs: names that may run, from cheap to dear, CASCADE among them; None takes the ladder with its cascade.
        rung: to begin with; None takes the cascade where there is one, else the chosen rung.
        threads: of the runtimes; None takes each rung's own count.
        care: limits.
        policy: of failures.
        fall: whether another rung answers while the wanted one cannot.
        clock: monotonic, s, for waits and rests; what a process may take is measured by the real one.

    Raises:
        UsageError: there is no such rung.
        BundleError, StorageError: as `open_bundle`.
    """

    def __init__(
        self,
        bundle: Bundle | Path,
        *,
        rungs: Sequence[str] | None = None,
        rung: str | None = None,
        threads: int | None = None,
        care: Care | None = None,
        policy: Policy | None = None,
        fall: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._owned = isinstance(bundle, Path)
        self._bundle = open_bundle(bundle) if isinstance(bundle, Path) else bundle
        manifest = self._bundle.manifest
        try:
            names, wanted = choose(manifest, rungs, rung)
        except UsageError:
            self._close_bundle()
            raise
        self._threads = threads
        self._shape = (manifest.pixels.height, manifest.pixels.width, manifest.pixels.channels)
        lengths = manifest.output.shape[1:]
        self._count = None if None in lengths else math.prod(one for one in lengths if one is not None)
        self._lock = threading.RLock()
        world = World(self._start, clock, available_bytes)
        self._keeper = Keeper(
            names, wanted, expected_bytes(manifest), world, care=care or Care(), policy=policy or Policy(), fall=fall
        )
        self._keeper.tend()

    @property
    def rungs(self) -> tuple[RungState, ...]:
        """See `Engine.rungs`."""
        with self._lock:
            return self._keeper.states()

    @property
    def running(self) -> str | None:
        """See `Engine.running`."""
        with self._lock:
            return self._keeper.running

    @property
    def processes(self) -> int:
        """Engine processes that are there now: up to three."""
        with self._lock:
            return self._keeper.processes

    @property
    def started(self) -> int:
        """Engine processes that were started so far."""
        with self._lock:
            return self._keeper.started

    def switch(self, rung: str) -> None:
        """See `Engine.switch`. The rung that runs goes on until the new one is ready, where memory allows both."""
        with self._lock:
            if rung not in self._keeper.names:
                raise UsageError(f"there is no rung {rung!r}", hint=f"the rungs are: {', '.join(self._keeper.names)}")
            self._keeper.wanted = rung
            self._keeper.tend()

    def infer(self, pixels: Pixels) -> Reply:
        """See `Engine.infer`."""
        check_pixels(pixels, self._shape)
        with self._lock:
            return self._keeper.infer(np.ascontiguousarray(pixels))

    def tend(self) -> None:
        """See `Engine.tend`."""
        with self._lock:
            self._keeper.tend()

    def take_failures(self) -> tuple[tuple[str, int], ...]:
        """See `Engine.take_failures`."""
        with self._lock:
            return self._keeper.take_failures()

    def wait_ready(self, seconds: float) -> str:
        """Wait until some rung would answer, and say which.

        Args:
            seconds: to wait at most.

        Raises:
            EngineDownError: there is none by then, or never will be.
        """
        last = time.monotonic() + seconds
        while True:
            self.tend()
            running = self.running
            if running is not None:
                return running
            with self._lock:
                down = self._keeper.down()
            if down.next_try_s is None or time.monotonic() >= last:
                raise down
            time.sleep(WAIT_STEP_S)

    def close(self) -> None:
        """See `Engine.close`."""
        with self._lock:
            self._keeper.close()
            self._close_bundle()

    def __enter__(self) -> SupervisedEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, order: Order) -> Worker:
        return ProcessWorker(self._bundle, order, self._threads, self._count)

    def _close_bundle(self) -> None:
        if self._owned:
            self._bundle.close()


def choose(manifest: Manifest, rungs: Sequence[str] | None, rung: str | None) -> tuple[tuple[str, ...], str]:
    """The names that may run, from cheap to dear, and the one to begin with.

    Args:
        manifest: of the bundle.
        rungs: as the caller lists them, rungs that only stand in the cascade or are offered among them; None takes the
            ladder, with its cascade where its expected time puts it.
        rung: to begin with; None takes the cascade where it may run, else the chosen one, else the last of `rungs`.

    Raises:
        UsageError: a name that the bundle does not have, none at all, or one twice.
    """
    ladder = manifest.ladder
    known = {one.name: one.candidate.cost.at(one.threads).median_ms for one in ladder.rungs}
    if ladder.cascade is not None:
        known[CASCADE] = ladder.cascade.expected_ms
    names = tuple(sorted(known, key=known.__getitem__)) if rungs is None else tuple(rungs)
    there = dict.fromkeys((*known, *(one.name for one in ladder.runnable)))
    for name in names if rung is None else (*names, rung):
        if name not in there:
            raise UsageError(f"there is no rung {name!r}", hint=f"the rungs are: {', '.join(there)}")
    if not names or len(set(names)) < len(names):
        raise UsageError(f"{len(names)} rungs were named, {len(set(names))} different ones", hint="name each once")
    if rung is not None:
        return (names if rung in names else (*names, rung)), rung
    return names, next((name for name in (CASCADE, ladder.chosen) if name in names), names[-1])


def expected_bytes(manifest: Manifest) -> dict[str, int]:
    """Resident memory that a process with each rung is expected to hold: as it was measured where it was made."""
    sizes = {one.name: one.candidate.cost.peak_rss_bytes for one in manifest.ladder.runnable}
    if manifest.ladder.cascade is not None:
        sizes[CASCADE] = sum(sizes[stage.rung] for stage in manifest.ladder.cascade.stages)
    return sizes


def check_pixels(pixels: Pixels, shape: tuple[int, int, int]) -> None:
    """Raises DataError unless the pixels are uint8 of that shape."""
    if not isinstance(pixels, np.ndarray):
        raise DataError(f"an image is a {type(pixels).__name__}, not a numpy array", hint="read files with read_image")
    if pixels.dtype != np.uint8 or pixels.shape != shape:
        raise DataError(f"pixels are {pixels.dtype} {pixels.shape}, the bundle takes uint8 {shape}")


__all__ = ["SupervisedEngine", "check_pixels", "choose", "expected_bytes"]
