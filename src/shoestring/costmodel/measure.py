"""What candidates cost on this machine: latency side by side, memory in a process of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from shoestring.base.errors import ChildError, EngineError, MissingExtraError, ShoestringError, UsageError
from shoestring.costmodel import contest, interleave
from shoestring.costmodel.contest import Measured
from shoestring.costmodel.rss import peak_rss_bytes
from shoestring.costmodel.rss_child import RUNS
from shoestring.domain.cost import Cost, Timing
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shoestring.runtimes.protocol import Array

SECONDS_EACH = 3.0


@dataclass(frozen=True)
class Measurement:
    """What came of measuring.

    Args:
        costs: of each artefact that could be measured, in the order they were given.
        failures: for each of the others the reason in one line, which names its runtime where that is to blame.
    """

    costs: dict[str, Cost]
    failures: dict[str, str]


def measure(
    artefacts: Sequence[Measured],
    reference: str,
    threads: Sequence[int],
    *,
    seconds_each: float = SECONDS_EACH,
    feeds: Mapping[str, Array] | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Cost]:
    """As `measure_all`, for artefacts none of which may fail.

    Raises:
        UsageError, MissingExtraError: as `measure_all`.
        EngineError: an artefact cannot be loaded or run, crashes, hangs or answers NaN; the message names it.
    """
    _check(artefacts, reference, threads, seconds_each)
    must = frozenset(artefact.name for artefact in artefacts)
    return _measure(artefacts, reference, threads, seconds_each, feeds, progress or _silent, must).costs


def measure_all(
    artefacts: Sequence[Measured],
    reference: str,
    threads: Sequence[int],
    *,
    seconds_each: float = SECONDS_EACH,
    feeds: Mapping[str, Array] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Measurement:
    """Latency at each thread count, and peak memory, of every artefact that can be measured.

    Memory comes first, each in a fresh process at the highest thread count, so that a model that kills its engine kills
    that process and not ours. Then, for one thread count after the other, all artefacts are loaded, warmed up until
    flat and timed in interleaved blocks (see `interleave`); their sessions are closed before the next thread count. An
    idle session must leave the processor alone, else it slows whoever runs next; the runtimes see to that.

    ONNX Runtime, our own programs and the null runtime run in this process; every other runtime runs in a guarded one
    that times itself (see `runtimes.guarded`). An artefact that fails is left out from then on, and reported.

    Args:
        artefacts: at least one; names are unique.
        reference: name of the artefact whose time is 1.
        threads: thread counts, each at least 1, each once.
        seconds_each: time to spend on timing each artefact at each thread count, seconds; warm-up may take as much
            again, and slow models take longer because of the least number of rounds.
        feeds: inputs for every artefact, or None for random ones: one example of each.
        progress: called with a line of words before each step, and when an artefact fails.

    Raises:
        UsageError: an argument breaks a rule above, or a runtime is unknown.
        MissingExtraError: the runtime of the reference is not installed.
        EngineError: the reference fails; the message names it.
    """
    _check(artefacts, reference, threads, seconds_each)
    return _measure(artefacts, reference, threads, seconds_each, feeds, progress or _silent, frozenset((reference,)))


def _measure(
    artefacts: Sequence[Measured],
    reference: str,
    threads: Sequence[int],
    seconds_each: float,
    feeds: Mapping[str, Array] | None,
    say: Callable[[str], None],
    must: frozenset[str],
) -> Measurement:
    """`must` names those whose failure ends it all."""
    failures: dict[str, str] = {}
    note = partial(_note, must, failures, say)
    memory = {}
    for artefact in artefacts:
        say(f"{artefact.name}: peak memory")
        try:
            memory[artefact.name] = peak_rss_bytes(artefact.path, artefact.runtime, max(threads), feeds)
        except (EngineError, ChildError, MissingExtraError) as error:
            note(artefact.name, error)
    timings: dict[str, list[Timing]] = {artefact.name: [] for artefact in artefacts}
    for count in threads:
        left = [artefact for artefact in artefacts if artefact.name not in failures]
        held = contest.Contest(left, count, 1000 * seconds_each, feeds, say, note)
        for name, timing in held.hold(reference).items():
            timings[name].append(timing)
    costs = {
        one.name: Cost(tuple(timings[one.name]), memory[one.name], one.size_bytes)
        for one in artefacts
        if one.name not in failures
    }
    return Measurement(costs, {one.name: failures[one.name] for one in artefacts if one.name in failures})


def _note(
    must: frozenset[str], failures: dict[str, str], say: Callable[[str], None], name: str, error: ShoestringError
) -> None:
    """Write a failure down; raise it when the artefact must not fail."""
    if name in must:
        if isinstance(error, MissingExtraError):
            raise error
        raise EngineError(f"{name}: {error.message}", hint=error.hint) from error
    failures[name] = error.message
    say(f"{name}: left out: {error.message}")


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
        f"that loaded the model and ran it {RUNS} times at {max(threads)} thread(s). Runtimes other than "
        f"{', '.join(sorted(contest.IN_PROCESS))} ran in processes of their own, which timed themselves."
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


def _silent(_: str) -> None:
    """Progress that nobody asked for."""


__all__ = ["Measured", "Measurement", "describe", "measure", "measure_all"]
