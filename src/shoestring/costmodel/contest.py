"""Artefacts timed side by side at one thread count, each in our process or in a guarded one of its own."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from shoestring.base.errors import EngineError, MissingExtraError, ShoestringError
from shoestring.costmodel import interleave
from shoestring.costmodel.feeds import check_answers, random_feeds
from shoestring.runtimes import guarded, registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from shoestring.costmodel.interleave import Contestant
    from shoestring.domain.cost import Timing
    from shoestring.runtimes.protocol import Array, Session

IN_PROCESS = frozenset(("onnxruntime", "native", "null"))
"""Runtimes that are timed in our own process: the one that every model comes from, and our own."""

LIMITS = guarded.Limits()


@dataclass(frozen=True)
class Measured:
    """Something to measure.

    Args:
        name: unique among those measured together.
        path: of the model file.
        runtime: name of the runtime that runs it.
        size_bytes: of the stored model.
    """

    name: str
    path: Path
    runtime: str
    size_bytes: int


class FailedError(Exception):
    """A contestant failed; never leaves this module.

    Args:
        name: of the contestant.
        error: what it raised.
    """

    def __init__(self, name: str, error: ShoestringError) -> None:
        super().__init__(name)
        self.name = name
        self.error = error


class Contest:
    """One measurement at one thread count; held once.

    Args:
        artefacts: to time, with unique names.
        threads: at least 1.
        limit_ms: to time each artefact; warming it up may take as much again.
        feeds: inputs for every artefact, or None for random ones.
        say: called with a line of words before each step.
        failed: called with the name and the error of each artefact that fails; what it raises ends the contest.
    """

    def __init__(
        self,
        artefacts: Sequence[Measured],
        threads: int,
        limit_ms: float,
        feeds: Mapping[str, Array] | None,
        say: Callable[[str], None],
        failed: Callable[[str, ShoestringError], None],
    ) -> None:
        self._artefacts = artefacts
        self._threads = threads
        self._limit_ms = limit_ms
        self._feeds = feeds
        self._say = say
        self._failed = failed
        self._sessions: dict[str, Session] = {}
        self._ready: dict[str, Contestant] = {}
        self._runs: dict[str, int] = {}

    def hold(self, reference: str) -> dict[str, Timing]:
        """Load all, warm each up, and time them in rounds; when one fails in a round, they begin again without it.

        Args:
            reference: name of the one whose time is 1; `failed` must raise when it is that one.

        Returns:
            The timing of each that did not fail.
        """
        try:
            for artefact in self._artefacts:
                with self._leaving_out_failures():
                    self._enter(artefact)
            for name in list(self._ready):
                with self._leaving_out_failures():
                    self._warm_up(name)
            while self._ready:
                self._say(f"timing {len(self._ready)} side by side at {self._threads} thread(s)")
                with self._leaving_out_failures():
                    ready = list(self._ready.values())
                    rounds = interleave.run_rounds(ready, self._runs, self._limit_ms * len(ready))
                    return {one.name: interleave.summarise(rounds, one.name, reference, self._threads) for one in ready}
            return {}
        finally:
            for session in self._sessions.values():
                session.close()

    @contextlib.contextmanager
    def _leaving_out_failures(self) -> Iterator[None]:
        try:
            yield
        except FailedError as failure:
            self._ready.pop(failure.name, None)
            if failure.name in self._sessions:
                self._sessions.pop(failure.name).close()
            self._failed(failure.name, failure.error)

    def _enter(self, artefact: Measured) -> None:
        name = artefact.name
        with _naming(name):
            session = _load(artefact, self._threads)
            self._sessions[name] = session
            feeds = self._feeds if self._feeds is not None else random_feeds(session.inputs)
            check_answers(session.run(feeds))
        times = _named_times(name, session) if isinstance(session, guarded.GuardedSession) else None
        self._ready[name] = interleave.Contestant(name, _named(name, partial(session.run, feeds)), times)

    def _warm_up(self, name: str) -> None:
        contestant = self._ready[name]
        self._say(f"{name}: warming up at {self._threads} thread(s)")
        warm = interleave.warm_up(contestant.run, self._limit_ms, contestant.once_ms)
        self._runs[name] = interleave.block_runs(warm.median_ms)
        if not warm.flat:
            self._say(f"{name}: still not flat after {warm.runs} runs; this machine is busy or heating up")


def _load(artefact: Measured, threads: int) -> Session:
    if artefact.runtime in IN_PROCESS:
        return registry.get(artefact.runtime).load(artefact.path, threads)
    return guarded.load(artefact.runtime, artefact.path, threads, LIMITS)


def _named(name: str, run: Callable[[], object]) -> Callable[[], object]:
    """`run`, with the contestant's name in its errors. A plain try: it costs nothing until something is raised."""

    def named() -> object:
        try:
            return run()
        except EngineError as error:
            raise FailedError(name, error) from error

    return named


def _named_times(name: str, session: guarded.GuardedSession) -> Callable[[int, int], list[float]]:
    def times(runs: int, lead: int) -> list[float]:
        with _naming(name):
            return session.time_block(runs, lead)

    return times


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except (EngineError, MissingExtraError) as error:
        raise FailedError(name, error) from error


__all__ = ["IN_PROCESS", "Contest", "Measured"]
