"""What candidates cost on this machine: latency side by side, memory in a process of their own."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from shoestring.base.errors import ChildError, EngineError, UsageError
from shoestring.costmodel import interleave
from shoestring.costmodel.feeds import check_answers, random_feeds
from shoestring.costmodel.rss import peak_rss_bytes
from shoestring.costmodel.rss_child import RUNS
from shoestring.domain.cost import Cost, Timing
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from shoestring.runtimes.protocol import Array

SECONDS_EACH = 3.0


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


def measure(
    artefacts: Sequence[Measured],
    reference: str,
    threads: Sequence[int],
    *,
    seconds_each: float = SECONDS_EACH,
    feeds: Mapping[str, Array] | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Cost]:
    """Latency at each thread count, and peak memory, of every artefact.

    Memory comes first, each in a fresh process at the highest thread count, so that a model that kills its engine kills
    that process and not ours. Then, for one thread count after the other, all artefacts are loaded, warmed up until
    flat and timed in interleaved blocks (see `interleave`); their sessions are closed before the next thread count. An
    idle session must leave the processor alone, else it slows whoever runs next; the runtimes see to that.

    Args:
        artefacts: at least one; names are unique.
        reference: name of the artefact whose time is 1.
        threads: thread counts, each at least 1, each once.
        seconds_each: time to spend on timing each artefact at each thread count, seconds; warm-up may take as much
            again, and slow models take longer because of the least number of rounds.
        feeds: inputs for every artefact, or None for random ones: one example of each.
        progress: called with a line of words before each step.

    Returns:
        For each name its cost, in the order of `artefacts`.

    Raises:
        UsageError: an argument breaks a rule above, or a runtime is unknown.
        MissingExtraError: a runtime is not installed.
        EngineError: an artefact cannot be loaded or run, or answers NaN; the message names it.
    """
    _check(artefacts, reference, threads, seconds_each)
    say = progress or _silent
    memory = {}
    for artefact in artefacts:
        say(f"{artefact.name}: peak memory")
        with _named(artefact):
            memory[artefact.name] = peak_rss_bytes(artefact.path, artefact.runtime, max(threads), feeds)
    timings: dict[str, list[Timing]] = {artefact.name: [] for artefact in artefacts}
    for count in threads:
        for name, timing in _time_together(artefacts, reference, count, 1000 * seconds_each, feeds, say).items():
            timings[name].append(timing)
    return {
        artefact.name: Cost(
            timings=tuple(timings[artefact.name]),
            peak_rss_bytes=memory[artefact.name],
            size_bytes=artefact.size_bytes,
        )
        for artefact in artefacts
    }


def describe(count: int, reference: str, threads: Sequence[int], *, seconds_each: float = SECONDS_EACH) -> str:
    """How `measure` works, in words and numbers, for the evidence.

    Args:
        count: of artefacts measured together.
        reference: as given to `measure`.
        threads: as given to `measure`.
        seconds_each: as given to `measure`.
    """
    counts = " and ".join(str(one) for one in threads)
    return (
        f"Latency of one example at {counts} thread(s), {count} artefacts side by side, as Python callers see it. "
        f"Each was warmed up until two windows of at least {interleave.MIN_WINDOW} runs and about "
        f"{interleave.WINDOW_MS:g} ms had medians within {100 * interleave.FLAT_FRACTION:g} %, or for "
        f"{seconds_each:g} s. Then, in rounds, each ran a block of about {interleave.BLOCK_MS:g} ms (at least one "
        f"run), led by untimed runs of {100 * interleave.LEAD_FRACTION:g} % of the block, in an order that moves on "
        f"each round; {seconds_each:g} s for each artefact, at least {interleave.MIN_ROUNDS} rounds; garbage "
        f"collector off. Times are the median and the 10th and 90th percentile over all runs; ratios to {reference!r} "
        f"are taken between block medians within a round, then median and 10th and 90th percentile over rounds. "
        f"Inputs: random, seeded, unless given. Peak memory: VmHWM of a fresh process, Python and runtime included, "
        f"that loaded the model and ran it {RUNS} times at {max(threads)} thread(s)."
    )


def _check(artefacts: Sequence[Measured], reference: str, threads: Sequence[int], seconds_each: float) -> None:
    names = [artefact.name for artefact in artefacts]
    if not names or len(set(names)) != len(names):
        raise UsageError(f"names to measure must be unique and at least one, got {names}")
    if reference not in names:
        raise UsageError(f"the reference {reference!r} is not measured", hint=f"one of: {', '.join(names)}")
    if not threads or min(threads) < 1 or len(set(threads)) != len(threads):
        raise UsageError(f"thread counts must be unique, at least one of them, each at least 1; got {list(threads)}")
    if not seconds_each > 0:
        raise UsageError(f"{seconds_each:g} seconds of timing for each is not above zero")
    for artefact in artefacts:
        registry.get(artefact.runtime)


def _time_together(
    artefacts: Sequence[Measured],
    reference: str,
    threads: int,
    limit_ms: float,
    feeds: Mapping[str, Array] | None,
    say: Callable[[str], None],
) -> dict[str, Timing]:
    with contextlib.ExitStack() as stack:
        contestants = []
        for artefact in artefacts:
            with _named(artefact):
                session = registry.get(artefact.runtime).load(artefact.path, threads)
                stack.callback(session.close)
                inputs = feeds if feeds is not None else random_feeds(session.inputs)
                check_answers(session.run(inputs))
            contestants.append(interleave.Contestant(artefact.name, _naming(artefact, partial(session.run, inputs))))
        runs = {}
        for contestant in contestants:
            say(f"{contestant.name}: warming up at {threads} thread(s)")
            warm = interleave.warm_up(contestant.run, limit_ms)
            runs[contestant.name] = interleave.block_runs(warm.median_ms)
            if not warm.flat:
                say(f"{contestant.name}: still not flat after {warm.runs} runs; this machine is busy or heating up")
        say(f"timing {len(contestants)} side by side at {threads} thread(s)")
        rounds = interleave.run_rounds(contestants, runs, limit_ms * len(contestants))
    return {artefact.name: interleave.summarise(rounds, artefact.name, reference, threads) for artefact in artefacts}


def _naming(artefact: Measured, run: Callable[[], object]) -> Callable[[], object]:
    """`run`, with the artefact's name in its errors. A plain try: it costs nothing until something is raised."""

    def named() -> object:
        try:
            return run()
        except EngineError as error:
            raise EngineError(f"{artefact.name}: {error.message}", hint=error.hint) from error

    return named


@contextlib.contextmanager
def _named(artefact: Measured) -> Iterator[None]:
    """Errors of an engine, or of the process it died in, become EngineErrors that name the artefact."""
    try:
        yield
    except (EngineError, ChildError) as error:
        raise EngineError(f"{artefact.name}: {error.message}", hint=error.hint) from error


def _silent(_: str) -> None:
    """Progress that nobody asked for."""


__all__ = ["Measured", "describe", "measure"]
