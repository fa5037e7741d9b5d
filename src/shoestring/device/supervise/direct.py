"""An engine in this process: for a model that cannot break it, and for who measures what supervision costs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import EngineDownError, EngineError, EngineFaultError, ShoestringError, TrustError
from shoestring.bundle import open_bundle
from shoestring.device.player import Player
from shoestring.device.supervise.nouns import CASCADE, Pixels, Reply, RungState
from shoestring.device.supervise.passing import are_finite
from shoestring.device.supervise.supervised import check_pixels, choose

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from shoestring.bundle import Bundle


class DirectEngine:
    """Rungs of a bundle, loaded into this process: the wanted one, and the one before it. For one thread.

    A rung is loaded, and its golden set replayed, within `switch`. There is nobody to restart anything: an engine that
    crashes or hangs takes this process along.

    Args:
        bundle: path of a bundle, which is opened and verified, or one that is open and stays so.
        rungs, rung, threads: as of `SupervisedEngine`.

    Raises:
        UsageError, BundleError, StorageError: as of `SupervisedEngine`.
        MissingExtraError, EngineError, GoldenError: the first rung does not load here.
    """

    KEPT = 2
    """Rungs that stay loaded."""

    def __init__(
        self,
        bundle: Bundle | Path,
        *,
        rungs: Sequence[str] | None = None,
        rung: str | None = None,
        threads: int | None = None,
    ) -> None:
        self._owned = isinstance(bundle, Path)
        self._bundle = open_bundle(bundle) if isinstance(bundle, Path) else bundle
        self._threads = threads
        self._players: dict[str, Player] = {}
        self._proven: dict[str, float] = {}
        self._refused: dict[str, str] = {}
        self._failures: dict[str, int] = {}
        self._closed = False
        spec = self._bundle.manifest.pixels
        self._shape = (spec.height, spec.width, spec.channels)
        try:
            self._names, wanted = choose(self._bundle.manifest, rungs, rung)
            self._running = wanted
            self._load(wanted)
        except BaseException:
            self.close()
            raise

    @property
    def rungs(self) -> tuple[RungState, ...]:
        """See `Engine.rungs`."""
        return tuple(self._state(name) for name in self._names)

    @property
    def running(self) -> str | None:
        """See `Engine.running`."""
        return None if self._closed else self._running

    def switch(self, rung: str) -> None:
        """See `Engine.switch`, but it waits until the rung is loaded; where that fails the one that runs goes on.

        Raises:
            UsageError: there is no such rung.
            MissingExtraError, EngineError, GoldenError: it does not load here.
        """
        choose(self._bundle.manifest, self._names, rung)
        self._load(rung)
        self._running = rung

    def infer(self, pixels: Pixels) -> Reply:
        """See `Engine.infer`."""
        check_pixels(pixels, self._shape)
        if self._closed:
            raise EngineError("this engine was closed", hint="open the bundle again")
        start = time.perf_counter()
        try:
            said = self._players[self._running].outputs(pixels)
            values = np.ascontiguousarray(said.values, dtype=np.float32)
            if not are_finite(values):
                raise EngineFaultError(f"rung {said.rung!r} answered values that are not finite numbers", "nan")
        except EngineError:
            self._failures[self._running] = self._failures.get(self._running, 0) + 1
            raise
        return Reply(values, said.rung, time.perf_counter() - start, said.stages, said.probabilities)

    def tend(self) -> None:
        """See `Engine.tend`: nothing is ever due."""

    def take_failures(self) -> tuple[tuple[str, int], ...]:
        """See `Engine.take_failures`."""
        taken, self._failures = tuple(sorted(self._failures.items())), {}
        return taken

    def close(self) -> None:
        """See `Engine.close`."""
        self._closed = True
        for player in self._players.values():
            player.close()
        self._players = {}
        if self._owned:
            self._bundle.close()

    def __enter__(self) -> DirectEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self, rung: str) -> None:
        """Load it, or take what is loaded, as the newest; the oldest goes when there are too many."""
        if rung in self._refused:
            raise EngineDownError(f"rung {rung!r} never runs here: {self._refused[rung]}", "crashed", None)
        player = self._players.pop(rung, None)
        if player is None:
            cascade = rung == CASCADE
            try:
                player = Player(
                    self._bundle,
                    rung=None if cascade else rung,
                    threads=self._threads,
                    cascade=cascade,
                    stages=not cascade,
                )
            except ShoestringError as error:
                self._failures[rung] = self._failures.get(rung, 0) + 1
                if isinstance(error, TrustError):
                    self._refused[rung] = error.message
                raise
            self._proven[rung] = player.golden_s
        self._players[rung] = player
        while len(self._players) > self.KEPT:
            self._players.pop(next(iter(self._players))).close()

    def _state(self, name: str) -> RungState:
        if name in self._refused:
            return RungState(name, "refused", next_try_s=None, why=self._refused[name])
        seconds = self._proven.get(name)
        return RungState(name, "unproven" if seconds is None else "proven", frame_s=seconds)


__all__ = ["DirectEngine"]
