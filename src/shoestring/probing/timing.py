"""Times the entries of a suite on this machine. Imports no more than a device has."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import EngineError
from shoestring.costmodel.feeds import check_answers, random_feeds
from shoestring.costmodel.interleave import collector_off, warm_up
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from shoestring.probing.suite import Entry

WARM_MS = 250.0
TIMED_MS = 250.0
LEAST_RUNS = 5
PROTOCOL = (
    f"batch 1, as Python callers see it; warmed up until two windows agree within 3 % or {WARM_MS:g} ms; median of the "
    f"runs of {TIMED_MS:g} ms, at least {LEAST_RUNS}; random inputs"
)


@dataclass(frozen=True)
class Timed:
    """A measured entry.

    Args:
        entry: what was timed.
        threads: of the runtime.
        latency_ms: median.
        runs: timed.
    """

    entry: Entry
    threads: int
    latency_ms: float
    runs: int


def time_entries(
    entries: Sequence[Entry], threads: Sequence[int], say: Callable[[str], None], until: float = math.inf
) -> tuple[tuple[Timed, ...], tuple[str, ...]]:
    """Time every entry at every thread count.

    Args:
        entries: to time.
        threads: counts, each at least 1.
        say: called before each entry.
        until: value of `time.monotonic` after which no entry begins.

    Returns:
        What was timed; and what could not be run and why, in words.
    """
    timed, failed = [], []
    for number, entry in enumerate(entries):
        if time.monotonic() > until:
            failed.append(f"time was up: {len(entries) - number} of {len(entries)} networks were not timed")
            break
        say(f"timing {entry.model} in {entry.precision} on {entry.runtime}")
        for count in threads:
            try:
                timed.append(_time(entry, count))
            except EngineError as error:
                failed.append(f"{entry.model} in {entry.precision} on {entry.runtime}: {error.message}")
                break
    return tuple(timed), tuple(failed)


def _time(entry: Entry, threads: int) -> Timed:
    with registry.get(entry.runtime).load(entry.path, threads) as session:
        feeds = random_feeds(session.inputs)
        check_answers(session.run(feeds))
        run = partial(session.run, feeds)
        warm_up(run, WARM_MS)
        times: list[float] = []
        with collector_off():
            end = time.perf_counter_ns() + TIMED_MS * 1e6
            while len(times) < LEAST_RUNS or time.perf_counter_ns() < end:
                start = time.perf_counter_ns()
                run()
                times.append(max(1, time.perf_counter_ns() - start) / 1e6)
    return Timed(entry, threads, float(np.median(times)), len(times))


__all__ = ["PROTOCOL", "Timed", "time_entries"]
