"""The governor beside the kernel's throttling and a fixed rung chosen in hindsight, on simulated boards.

    python benchmarks/governor.py                     # ten seeds of 24 hours
    python benchmarks/governor.py --seeds 200 --jobs 2

Every board differs from its chip file (resistances and time constants by up to 25 %, watts by 15 %, time of an example
by 10 %), its sensor counts in half kelvins with noise, and no meter tells its watts. Days and faults: governor_days.py.
Ladders with sources: governor_ladders.toml.

Value is certified quality x examples a second, mean of the day. All the work of the kernel's contestants counts, also
while the chip is over the limit; `fixed` is the certified rung and rate that did most on that very day without one
excursion.
"""

from __future__ import annotations

import argparse
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from governor_contestants import Run, fixed, governed, hottest, throttled
from governor_days import Case, cases, day

LONGEST_S, HIGHEST_K, MOVES, RATIO = 10.0, 2.0, 6, 1.3
MOST_RATIO = 99.0
"""Printed where the other did nothing at all."""


@dataclass(frozen=True)
class Result:
    """One seed of one board."""

    ours: Run
    dearest: Run
    cheapest: Run
    fixed: tuple[float, str, float]
    idle_k: float
    seconds: float

    @property
    def bad(self) -> bool:
        """Whether an excursion was too long or too high, that of a board which only rests not counted."""
        if self.idle_k > 0:
            return self.ours.highest_k > self.idle_k + HIGHEST_K
        return self.ours.longest_s > LONGEST_S or self.ours.highest_k > HIGHEST_K


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--board", action="append", default=[], help="chip name; repeatable")
    parser.add_argument("--ladder", action="append", default=[], help="name of a ladder; repeatable")
    parser.add_argument("--no-faults", action="store_true", help="air that swings, but cooling that works")
    parser.add_argument("--own-limits", action="store_true", help="the chip files' throttling steps as limits")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--each", action="store_true", help="one line a seed")
    wish = parser.parse_args()
    seeds = range(wish.first, wish.first + wish.seeds)
    print(
        f"{wish.seeds} seeds of {wish.hours:g} h, {'no faults' if wish.no_faults else 'with faults of the cooling'}\n"
    )
    every = cases(tuple(wish.ladder), tuple(wish.board), wish.own_limits)
    with ProcessPoolExecutor(wish.jobs) as pool:
        for case in every:
            jobs = [pool.submit(play, case, seed, wish.hours, not wish.no_faults) for seed in seeds]
            show(case, [job.result() for job in jobs], wish.each, seeds)


def play(case: Case, seed: int, hours: float, faulty: bool) -> Result:
    """All four contestants on the same day."""
    today = day(case, seed, hours, faulty)
    begun = time.process_time()
    ours = governed(case, today, hours)
    seconds = time.process_time() - begun
    return Result(
        ours,
        throttled(case, today, hours, case.dearest),
        throttled(case, today, hours, case.cheapest),
        fixed(case, today, hours),
        max(0.0, hottest(case, today, hours, 0.0, stop=False) - case.limit),
        seconds,
    )


def show(case: Case, results: list[Result], each: bool, seeds: range) -> None:
    """The table of one board."""
    ours, dear, cheap = ([getattr(one, name) for one in results] for name in ("ours", "dearest", "cheapest"))
    took = statistics.median(one.seconds for one in results)
    print(
        f"{case.chip.title}, {case.cooling}, air {case.air:g} C, limit {case.limit:g} C; ladder {case.ladder}, ", end=""
    )
    print(f"{case.wanted:g}/s wanted; a day took {took:.1f} s")
    print("| contestant | value a second: median (least to most) | longest excursion | highest | over the limit |")
    print("|---|---|---|---|---|")
    for name, runs in (
        ("governor", ours),
        (f"kernel, {case.dearest.name}", dear),
        (f"kernel, {case.cheapest.name}", cheap),
    ):
        over = statistics.mean(run.over_share for run in runs)
        longest, highest = max(run.longest_s for run in runs), max(run.highest_k for run in runs)
        values = _spread([run.value for run in runs])
        print(f"| {name} | {values} | {longest:.0f} s | {highest:.2f} K | {100 * over:.2f} % |")
    print(f"| fixed, in hindsight | {_spread([one.fixed[0] for one in results])} | 0 s | 0 K | 0 % |")
    moves = [len(run.moves) for run in ours]
    hours = [run.worst_hour for run in ours]
    bad, idle = sum(one.bad for one in results), sum(one.idle_k > 0 for one in results)
    print(f"excursions longer than {LONGEST_S:g} s or higher than {HIGHEST_K:g} K: {bad} of {len(ours)} days", end="")
    print(f" (on {idle} of them the board is over the limit even if it only rests: judged against that)")
    print(f"moves a day: {_spread(moves, 0)}; in the worst hour of a day: {_spread(hours, 0)} (goal {MOVES})")
    for name, others in (
        ("kernel, dearest rung", [run.value for run in dear]),
        ("kernel, cheapest certified rung", [run.value for run in cheap]),
        ("fixed in hindsight", [one.fixed[0] for one in results]),
    ):
        ratios = [min(run.value / max(other, 1e-9), MOST_RATIO) for run, other in zip(ours, others, strict=True)]
        reached = sum(ratio >= RATIO for ratio in ratios)
        print(f"value, times {name}: {_spread(ratios)}; at least {RATIO:g} on {reached} of {len(ratios)} days")
    if each:
        for seed, one in zip(seeds, results, strict=True):
            mine, value, name, rate = one.ours, *one.fixed
            print(
                f"  seed {seed}: {mine.value:.3f} {one.dearest.value:.3f} {one.cheapest.value:.3f} "
                f"{value:.3f} ({name} at {rate:.3g}/s); {mine.longest_s:.0f} s {mine.highest_k:.2f} K; "
                f"{len(mine.moves)} moves, {mine.worst_hour} in an hour"
            )
    print(flush=True)


def _spread(values: list[float], digits: int = 2) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


if __name__ == "__main__":
    main()
