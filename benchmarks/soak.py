"""Supervision for a day and longer: virtual days of random faults, or real minutes with the slope of our memory.

    python benchmarks/soak.py --virtual-hours 24 --seeds 20     # a random fault every 10 minutes, through the real keeper
    python benchmarks/soak.py --minutes 60                      # real processes, a random fault every 10 minutes
    python benchmarks/soak.py --minutes 2 --every 20            # the same, to see that it works

The virtual soak drives the keeper that runs on devices, on a clock and with processes that are simulated: each seed
draws a machine (memory for one, two or three processes, a slow leak or none, a rung that answers otherwise or none) and
faults of every kind at random moments. It counts what must not be: two seconds without an answer in the reach of the
policy, processes left over, answers of a refused rung, restarts without end. The real soak asks for frames at a steady
rate, breaks the engine now and then, and fits a line through the resident memory of this process.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from factory import make_images
from faults import KINDS, Clock, Count, Lot, break_it, recover
from null_bundles import MIDDLE, make_null_bundle
from results import align
from shoestring.base.errors import EngineDownError, EngineError
from shoestring.base.limits import MIB
from shoestring.base.resident import Watch
from shoestring.device.supervise import Care, Policy, SupervisedEngine
from shoestring.device.supervise.keeper import Keeper
from shoestring.device.supervise.virtual import FAULTS, VirtualWorld

RUNGS = ("cheap", "middle", "dear")
PIXELS = np.zeros((2, 2, 3), np.uint8)
EVERY_S = 600.0
STEP_S = 2.0
GOAL_GAP_S, GOAL_MB_PER_HOUR = 2.0, 1.0
FRAME_S, WARM_UP_SHARE, SAMPLE_S = 0.05, 0.2, 1.0


@dataclass
class Day:
    """What came of one seed.

    Args:
        faults: that were made.
        frames: that were asked for.
        unanswered: of them, those that a fault took and those that found no engine.
        gaps_s: from a fault until the next good answer.
        started: processes.
        most: at once.
        left: processes after closing.
        refused: answers of a rung that was refused.
    """

    faults: int = 0
    frames: int = 0
    unanswered: int = 0
    gaps_s: tuple[float, ...] = ()
    started: int = 0
    most: int = 0
    left: int = 0
    refused: int = 0


def virtual_day(hours: float, seed: int) -> Day:
    """One machine for so long."""
    generator = random.Random(seed)
    world = VirtualWorld(
        load_s=generator.choice([0.4, 0.8, 1.5]),
        memory_bytes=generator.choice([150_000_000, 220_000_000, 900_000_000]),
        leak_bytes=generator.choice([0, 0, 2_000]),
        wrong=generator.choice([(), ("dear",), ("middle",)]),
    )
    keeper = Keeper(RUNGS, "middle", {}, world.world(), care=Care(), policy=Policy(), fall=True)
    day, gaps, since = Day(), [], None
    next_fault_s = generator.expovariate(1 / EVERY_S)
    while world.now_s < 3600 * hours:
        if world.now_s >= next_fault_s:
            world.faults.append(generator.choice(FAULTS))
            next_fault_s += generator.expovariate(1 / EVERY_S)
            day.faults += 1
        day.frames += 1
        began = world.now_s
        try:
            reply = keeper.infer(PIXELS)
        except EngineError as error:
            day.unanswered += 1
            since = began if since is None else since
            world.now_s += 0.1 if isinstance(error, EngineDownError) else 0.0
        else:
            day.refused += reply.rung in world.wrong
            if since is not None:
                gaps.append(world.now_s - since)
                since = None
            world.now_s += STEP_S
    day.started, day.most = world.started, world.most
    keeper.close()
    day.left, day.gaps_s = len(world.open), tuple(gaps[1:])  # the first is the start of the day
    return day


def virtual(hours: float, seeds: int) -> int:
    """Every seed; 0 when nothing happened that must not."""
    began = time.perf_counter()
    days = [virtual_day(hours, seed) for seed in range(seeds)]
    gaps = [gap for day in days for gap in day.gaps_s]
    frames, unanswered = sum(day.frames for day in days), sum(day.unanswered for day in days)
    p50, p99 = np.percentile(gaps, (50, 99))
    rows = [
        [f"{seeds} x {hours:g} virtual hours in {time.perf_counter() - began:.0f} s", ""],
        ["faults", str(sum(day.faults for day in days))],
        ["frames", f"{frames:,}"],
        ["answered", f"{1 - unanswered / frames:.4%}"],
        ["gaps", str(len(gaps))],
        ["gap p50, p99, worst", f"{p50:.2f} s, {p99:.2f} s, {max(gaps):.2f} s"],
        ["processes started, most in a day", f"{sum(d.started for d in days)}, {max(d.started for d in days)}"],
        ["processes at once", f"{max(day.most for day in days)}"],
        ["left over", str(sum(day.left for day in days))],
        ["answers of a refused rung", str(sum(day.refused for day in days))],
    ]
    print(align(rows))
    bad = sum(day.left + day.refused for day in days) or max(day.most for day in days) > 3
    kept = p99 <= GOAL_GAP_S and not bad
    print(f"goal: gap p99 at most {GOAL_GAP_S:g} s, at most 3 processes, nothing left: {'kept' if kept else 'missed'}")
    return 0 if kept else 1


def slope(times_s: np.ndarray, held_bytes: np.ndarray) -> tuple[float, float]:
    """Least squares through resident memory: MB an hour, and twice its standard error."""
    hours, megabytes = times_s / 3600, held_bytes / 1e6
    design = np.stack([hours - hours.mean(), np.ones_like(hours)], axis=1)
    (rate, level), *_ = np.linalg.lstsq(design, megabytes, rcond=None)
    rest = megabytes - design @ np.array([rate, level])
    spread = np.sqrt((rest @ rest) / max(1, len(hours) - 2) / ((hours - hours.mean()) ** 2).sum())
    return float(rate), float(2 * spread)


def real(minutes: float, every_s: float, seed: int) -> int:
    """Real processes for so long; 0 when the goals are kept."""
    generator, lot, clock = random.Random(seed), Lot(), Clock()
    images = make_images(8, seed=seed)
    times, held, frames, faults = [], [], 0, 0
    watch = Watch(os.getpid())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "null.shoe"
        make_null_bundle(path, busy_us=2000)
        with SupervisedEngine(path, rung=MIDDLE, care=Care(memory_bytes=200 * MIB)) as engine:
            engine.wait_ready(60)
        before = Count.now()
        with SupervisedEngine(path, rung=MIDDLE, care=Care(memory_bytes=200 * MIB), clock=clock) as engine:
            engine.wait_ready(60)
            began = time.monotonic()
            next_fault_s, next_sample_s = generator.expovariate(1 / every_s), 0.0
            while (now_s := time.monotonic() - began) < 60 * minutes:
                if now_s >= next_sample_s:
                    gc.collect()
                    times.append(now_s)
                    held.append(watch.resident_bytes() or 0)
                    next_sample_s = now_s + SAMPLE_S
                if now_s >= next_fault_s and engine.running is not None:
                    faults += 1
                    started = break_it(engine, generator.choice(KINDS), images[faults % 8])
                    gap_s = recover(engine, lot, images[0], started)
                    lot.gaps_s["all"].append(float("inf") if gap_s is None else gap_s)
                    next_fault_s += generator.expovariate(1 / every_s)
                else:
                    try:
                        engine.infer(images[frames % 8])
                        frames += 1
                    except EngineError:
                        lot.unanswered += 1
                time.sleep(FRAME_S)
        after = Count.now()
    watch.close()
    first = int(len(times) * WARM_UP_SHARE)
    rate, spread = slope(np.array(times[first:]), np.array(held[first:]))
    gaps = lot.gaps_s["all"] or [0.0]
    rows = [
        [f"{minutes:g} real minutes", ""],
        ["frames answered, unanswered", f"{frames:,}, {lot.unanswered}"],
        ["faults", str(faults)],
        ["gap p50, worst", f"{np.percentile(gaps, 50):.2f} s, {max(gaps):.2f} s"],
        ["resident, first and last", f"{held[0] / 1e6:.1f} MB, {held[-1] / 1e6:.1f} MB"],
        [f"slope after the first {WARM_UP_SHARE:.0%}", f"{rate:+.2f} MB/h (2 standard errors: {spread:.2f})"],
        *(
            [name, f"{getattr(before, name)} -> {getattr(after, name)}"]
            for name in ("children", "descriptors", "shared")
        ),
    ]
    print(align(rows))
    leaked = any(getattr(after, name) > getattr(before, name) for name in ("children", "descriptors", "shared"))
    kept = rate < GOAL_MB_PER_HOUR and not leaked
    print(f"goal: below {GOAL_MB_PER_HOUR:g} MB/h, nothing left over: {'kept' if kept else 'missed'}")
    return 0 if kept else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--virtual-hours", type=float, default=24.0)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--minutes", type=float, help="run that long for real instead")
    parser.add_argument("--every", type=float, default=EVERY_S, help="seconds between faults of the real soak, mean")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.minutes is not None:
        raise SystemExit(real(arguments.minutes, arguments.every, arguments.seed))
    raise SystemExit(virtual(arguments.virtual_hours, arguments.seeds))


if __name__ == "__main__":
    main()
