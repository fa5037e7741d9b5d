"""Timing contestants in turn, so that heat, clock changes and other processes meet all of them alike.

In every round each contestant runs one block; ratios are taken within a round, where the machine was the same for both,
and then summarised over rounds. See Georges et al., "Statistically Rigorous Java Performance Evaluation", OOPSLA 2007,
for warm-up, and Kalibera and Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013, for repetition at the level
where the noise is.
"""

from __future__ import annotations

import contextlib
import gc
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from shoestring.domain.cost import Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

BLOCK_MS = 20.0
"""Long enough to drown a stray interrupt in a median, short enough that the machine is the same for a whole round."""
LEAD_FRACTION = 0.2
"""Untimed runs ahead of a block, as a part of it: they fill the caches that the contestant before has emptied."""
MIN_ROUNDS = 15
"""The 10th and 90th percentile of fewer rounds are little more than the extremes."""
FLAT_FRACTION = 0.03
"""Warm-up ends when two neighbouring windows have medians this close."""
WINDOW_MS = 10.0
MIN_WINDOW = 3


@dataclass(frozen=True)
class Contestant:
    """Something to time.

    Args:
        name: unique among the contestants.
        run: one inference.
        times: milliseconds of each of so many inferences, after so many that are not timed; None to time `run` here.
            What lives in a process of its own times itself, so that the way there costs nothing.
    """

    name: str
    run: Callable[[], object]
    times: Callable[[int, int], list[float]] | None = None

    def block(self, runs: int) -> list[float]:
        """Milliseconds of each of a block's runs, which follow some untimed ones."""
        lead = max(1, round(LEAD_FRACTION * runs))
        if self.times is not None:
            return self.times(runs, lead)
        for _ in range(lead):
            self.run()
        return [_time_ms(self.run) for _ in range(runs)]

    def once_ms(self) -> float:
        """Milliseconds of one run."""
        return _time_ms(self.run) if self.times is None else self.times(1, 0)[0]


@dataclass(frozen=True)
class Warm:
    """How a warm-up ended.

    Args:
        median_ms: of the last window.
        flat: False when time ran out first.
        runs: it took.
    """

    median_ms: float
    flat: bool
    runs: int


def warm_up(run: Callable[[], object], limit_ms: float, once_ms: Callable[[], float] | None = None) -> Warm:
    """Run until the median of a window is within `FLAT_FRACTION` of the one before, or time is up.

    Args:
        run: one inference.
        limit_ms: wall-clock time after which it ends anyway; two runs are always made.
        once_ms: one inference that tells its own milliseconds, or None to time `run` here.
    """
    once_ms = once_ms or partial(_time_ms, run)
    deadline_ns = time.perf_counter_ns() + round(limit_ms * 1e6)
    estimate_ms = once_ms()  # the cold run only tells how many runs make a window
    runs, before_ms = 1, None
    while True:
        size = max(MIN_WINDOW, round(WINDOW_MS / estimate_ms))
        window = [once_ms()]
        while len(window) < size and time.perf_counter_ns() < deadline_ns:
            window.append(once_ms())
        runs += len(window)
        estimate_ms = float(np.median(window))
        if before_ms is not None and abs(estimate_ms - before_ms) <= FLAT_FRACTION * before_ms:
            return Warm(estimate_ms, True, runs)
        if time.perf_counter_ns() >= deadline_ns:
            return Warm(estimate_ms, False, runs)
        before_ms = estimate_ms


def block_runs(run_ms: float) -> int:
    """Timed runs in a block of about `BLOCK_MS`, at least one."""
    return max(1, round(BLOCK_MS / run_ms))


def order(names: Sequence[str], round_number: int) -> list[str]:
    """Who runs when: the start moves on by one each round, and the direction turns after each full turn.

    So each contestant takes each place equally often, and comes as often before as after any neighbour.
    """
    start = round_number % len(names)
    turned = [*names[start:], *names[:start]]
    return turned[::-1] if round_number // len(names) % 2 else turned


def run_rounds(
    contestants: Sequence[Contestant], runs: Mapping[str, int], limit_ms: float
) -> list[dict[str, list[float]]]:
    """Time the contestants in turn, with Python's garbage collector off.

    Args:
        contestants: warmed up.
        runs: timed runs in a block, for each name.
        limit_ms: no round starts later than this, once `MIN_ROUNDS` are done.

    Returns:
        For each round and name the times of the block's runs, ms.
    """
    by_name = {one.name: one for one in contestants}
    rounds: list[dict[str, list[float]]] = []
    start = time.perf_counter_ns()
    with collector_off():
        while len(rounds) < MIN_ROUNDS or time.perf_counter_ns() - start < limit_ms * 1e6:
            rounds.append({name: by_name[name].block(runs[name]) for name in order(tuple(by_name), len(rounds))})
    return rounds


def summarise(rounds: Sequence[Mapping[str, Sequence[float]]], name: str, reference: str, threads: int) -> Timing:
    """Median and 10th and 90th percentile of all runs, and of the ratio of block medians over rounds.

    Args:
        rounds: from `run_rounds`.
        name: the contestant.
        reference: the contestant whose time is 1.
        threads: to note in the result.
    """
    times = np.concatenate([np.asarray(one[name]) for one in rounds])
    ratios = [float(np.median(one[name]) / np.median(one[reference])) for one in rounds]
    low_ms, median_ms, high_ms = (float(value) for value in np.percentile(times, (10, 50, 90)))
    ratio_low, ratio, ratio_high = (float(value) for value in np.percentile(ratios, (10, 50, 90)))
    return Timing(
        threads=threads,
        median_ms=median_ms,
        low_ms=low_ms,
        high_ms=high_ms,
        runs=len(times),
        ratio_to_original=ratio,
        ratio_low=ratio_low,
        ratio_high=ratio_high,
    )


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """Collect garbage now, and not again until the block ends; the collector is left as it was found."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _time_ms(run: Callable[[], object]) -> float:
    start = time.perf_counter_ns()
    run()
    # A clock may stand still over a very short run; a time of zero would break every ratio.
    return max(1, time.perf_counter_ns() - start) / 1e6


__all__ = ["Contestant", "Warm", "block_runs", "collector_off", "order", "run_rounds", "summarise", "warm_up"]
