"""A thermal sensor breaks: when do the readings say so, and when does the governor run a safe rung?

    python benchmarks/sensor_faults.py                 # 800 cases on a virtual clock, 16 with sensors that block
    python benchmarks/sensor_faults.py --cases 80

A case is a simulated board whose true constants are up to 25 % off its chip file, a fake tree of its kind, the real
sensors reading that tree, and the governor deciding once a second, with work that comes and goes. At a moment drawn
from the seed the sensor breaks. Counted are the seconds until a look says None with a fault, and until a decision is
safe: a rung and rate that hold the limit for ever in the hottest air that the chip file permits, or rest. `hot` are the
cases in which a rung ran that was not safe in that sense; the columns `told` and `safe` count those within GOAL_S.

A stuck sensor tells the truth until the truth moves away from it. Its seconds count from the moment at which the chip
is more than STUCK_KELVIN hotter or colder than the sensor says.

Beside ours stands what programs usually do: they read the file, believe it, and keep the last value when it cannot be
read. The same governor decides, and itself believes nothing outside -40 to 150 C.

What cannot be met is shown too: a sensor that gets stuck under a steady load while the vents are covered. No load moves
then that would give it away, only its habit does (`judge.HABIT_S`). And honest sensors of many kinds are judged for
hours, to count how often one of them is called a liar.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sensor_scenes import BOARDS, STEADY, STEADY_S, Case, Scene, believing, honest, ours

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.sensors import Readings, Sensors

CASES, BLOCKING, STILL, HOURS, GOAL_S = 800, 16, 24, 48, 2.0
STUCK_KELVIN = 5.0
WATCH_S, WATCH_STUCK_S = 8, 300
SETTLE, SETTLE_STUCK = 12, 75
"""Looks before the fault; a load is known after a minute."""
FAULTS = ("gone", "garbage", "denied", "-256000", "-89000", "1000000000", "0", "cold", "hot", "stuck")
"""`cold` and `hot` are values drawn from outside what processors can have."""
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where files are quick."""


@dataclass(frozen=True)
class Outcome:
    """Seconds; None for never within the time watched. `harmless`: a stuck sensor that was never far off.
    `early`: looks at which the sensor was called a liar before it was one."""

    case: Case
    told_s: float | None
    safe_s: float | None
    kind: str = ""
    harmless: bool = False
    hot_before: bool = False
    worst_kelvin: float = 0.0
    early: int = 0


def run(case: Case, make: Callable[[Case, Path, Callable[[], float]], Sensors]) -> Outcome:
    """One case on a virtual clock."""
    chance = case.chance
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        scene = Scene(case, Path(folder), make)
        settle = {STEADY: STEADY_S // 2, "stuck": SETTLE_STUCK}.get(case.fault, SETTLE)
        scene.warm_up(chance.randrange(60, 240) if case.fault != STEADY else STEADY_S - settle)
        early, honest_looks = 0, 0
        while honest_looks < settle:
            called = bool(scene.step(scene.sensors.look).faults)
            early, honest_looks = early + called, honest_looks + (not called)
        hot_before = not scene.safe()
        broken_s = scene.board.now_s + chance.random()  # some time after that look
        scene.tree.spoil("celsius", wording(case, chance))
        outcome = replace(watched(scene, broken_s, hot_before), early=early)
        scene.sensors.close()
        return outcome


def watched(scene: Scene, broken_s: float, hot_before: bool) -> Outcome:
    """From the fault on."""
    case, stuck = scene.case, scene.case.fault in ("stuck", STEADY)
    frozen = scene.board.celsius
    since_s = None if stuck else broken_s
    told_s = safe_s = None
    kind, worst = "", 0.0
    for _ in range(WATCH_STUCK_S if stuck else WATCH_S):
        readings = scene.step(scene.sensors.look)
        off = abs(scene.board.celsius - frozen)
        if since_s is None and off > STUCK_KELVIN:
            since_s = scene.board.now_s
        faults = [fault.kind for fault in readings.faults if fault.sensor == "celsius"]
        if told_s is None and readings.celsius is None and faults:
            told_s, kind = readings.at_s, faults[0]
        if told_s is None and stuck:
            worst = max(worst, off)
        if safe_s is None and scene.safe() and (since_s is not None or told_s is not None):
            safe_s = scene.board.now_s
        if told_s is not None and safe_s is not None:
            break
    if since_s is None:
        since_s = told_s  # told before it was far off
    after = [None if at is None or since_s is None else max(0.0, at - since_s) for at in (told_s, safe_s)]
    return Outcome(case, after[0], after[1], kind, since_s is None, hot_before, worst)


def wording(case: Case, chance: random.Random) -> str:
    """What is done to the file."""
    if case.fault == "cold":
        return str(chance.randrange(-1_000_000, -40_000))
    if case.fault == STEADY:
        return "stuck"
    if case.fault == "hot":
        return str(chance.randrange(150_000, 10_000_000))
    return case.fault


def run_blocking(case: Case) -> tuple[float, float, bool]:
    """In real time: seconds until it is told, the longest look, and whether the sensor is believed again afterwards."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        scene = Scene(case, Path(folder), ours)
        scene.warm_up(60)
        looks = []

        def look() -> Readings:
            begun = time.monotonic()
            readings = scene.sensors.look()
            looks.append(time.monotonic() - begun)
            return readings

        for _ in range(3):
            scene.step(look)
        scene.tree.spoil("celsius", "blocks")
        broken = time.monotonic()
        time.sleep(case.chance.random())
        told = float("inf")
        while time.monotonic() - broken < 2.0:
            if scene.step(look).celsius is None and scene.safe():
                told = min(told, time.monotonic() - broken)
            time.sleep(0.2)
        scene.tree.heal("celsius")
        time.sleep(0.2)
        back = any(scene.step(look).celsius is not None for _ in range(30))
        scene.sensors.close()
        return told, max(looks), back


def table(title: str, outcomes: list[Outcome], seconds: float) -> bool:
    """Prints one contestant; says whether the goal is met."""
    met = True
    print(f"\n{title}, {seconds:.0f} s of real time")
    print(f"{'fault':12} {'cases':>5} {'hot':>4} {'told':>5} {'safe':>5}   seconds until told, safe: p50 p99 max")
    for fault in FAULTS:
        rows = [one for one in outcomes if one.case.fault == fault and not one.harmless]
        told = [one.told_s for one in rows if one.told_s is not None and one.told_s <= GOAL_S]
        safe = [one.safe_s for one in rows if one.safe_s is not None and one.safe_s <= GOAL_S]
        met &= len(safe) == len(rows)
        hot = sum(one.hot_before for one in rows)
        print(f"{fault:12} {len(rows):5} {hot:4} {len(told):5} {len(safe):5}   {spread(told)}   {spread(safe)}")
    harmless = sum(one.harmless for one in outcomes)
    print(f"not counted: {harmless} stuck sensors, never {STUCK_KELVIN:g} K off in {WATCH_STUCK_S} s and never told")
    stuck = [one.worst_kelvin for one in outcomes if one.case.fault == "stuck"]
    print(f"called a liar before it was one: {sum(one.early > 0 for one in outcomes)} of {len(outcomes)} sensors")
    print(f"stuck sensors were up to {max(stuck, default=0.0):.1f} K off before they were told")
    return met


def spread(seconds: list[float]) -> str:
    if not seconds:
        return "   -    -    -"
    seconds = sorted(seconds)
    late = seconds[min(len(seconds) - 1, int(0.99 * len(seconds)))]
    return f"{statistics.median(seconds):4.1f} {late:4.1f} {seconds[-1]:4.1f}"


def block(count: int) -> bool:
    """Sensors that block, in real time."""
    blocked = [run_blocking(Case(seed, list(BOARDS)[seed % len(BOARDS)], "blocks")) for seed in range(count)]
    if not blocked:
        return True
    told, looks, back = zip(*blocked, strict=True)
    print(f"\nblocks 2 s: {count} cases in real time, told and safe after at most {max(told):.2f} s;")
    print(f"    longest look {max(looks):.2f} s; believed again afterwards: {sum(back)} of {count}")
    return max(told) <= GOAL_S and all(back)


def steady(count: int) -> None:
    """Stuck while nothing moves that would show it; no part of the goal."""
    still = [run(Case(seed, list(BOARDS)[seed % len(BOARDS)], STEADY), ours) for seed in range(count)]
    told = [one.told_s for one in still if one.told_s is not None]
    worst = max((one.worst_kelvin for one in still), default=0.0)
    print(f"\nstuck under steady load, vents covered (not part of the goal): {count} cases, told in {len(told)}")
    print(f"    after {spread(told)} s (p50 p99 max) from {STUCK_KELVIN:g} K off; up to {worst:.1f} K off before")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--blocking", type=int, default=BLOCKING)
    parser.add_argument("--steady", type=int, default=STILL)
    parser.add_argument("--hours", type=int, default=HOURS)
    arguments = parser.parse_args()
    kinds = list(BOARDS)
    cases = [
        Case(seed, kinds[seed % len(kinds)], FAULTS[seed // len(kinds) % len(FAULTS)])
        for seed in range(arguments.cases)
    ]
    results = []
    for title, make in (("ours", ours), ("believed as it is", believing)):
        begun = time.monotonic()
        outcomes = [run(case, make) for case in cases]
        results.append(table(title, outcomes, time.monotonic() - begun))
    met = results[0] & block(arguments.blocking)
    steady(arguments.steady)
    judged_h, false = honest(arguments.hours)
    print(f"\nhonest sensors: {judged_h} h of looks, {false} of them called a lie")
    print(f"\nsafe within {GOAL_S:g} s in all of our cases: {'yes' if met else 'NO'}")


if __name__ == "__main__":
    main()
