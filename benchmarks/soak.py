"""Supervision for a day and longer: virtual days of random faults, or real minutes with the slope of our memory.

    python benchmarks/soak.py --virtual-hours 24 --seeds 20     # a random fault every 10 minutes
    python benchmarks/soak.py --minutes 60                      # real processes, a random fault every 10 minutes
    python benchmarks/soak.py --minutes 2 --every 20            # the same, to see that it works

The virtual soak drives the keeper that runs on devices, on a clock and with processes that are simulated: each seed
draws a machine (memory for one, two or three processes, a slow leak or none, a rung that answers otherwise or none) and
faults of every kind at random moments. It counts what must not be: long gaps, processes left over, answers of a refused
rung, restarts without end. The real soak asks for frames at a steady
rate, breaks the engine now and then, and fits a line through the resident memory of this process.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from factory import make_images
from faults import KINDS, Count, Lot, break_it, recover
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
GOAL_GAP_S, GOAL_STARTS, GOAL_MB_PER_HOUR = 10.0, 2.0, 1.0
FRAME_S, WARM_UP_SHARE, SAMPLE_S = 0.05, 0.2, 1.0


@dataclass
class Day:
    """What came of one seed.

    Args:
        faults: that were made.
        frames: that were asked for.
        memory_bytes: of the machine.
        gaps_s: from a fault until the next good answer.
        started: processes.
        most: at once.
        left: processes after closing.
        refused: answers of a rung that was refused.
    """

    faults: int = 0
    frames: int = 0
    memory_bytes: int = 0
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
            since = began if since is None else since
            world.now_s += 0.1 if isinstance(error, EngineDownError) else 0.0
        else:
            day.refused += reply.rung in world.wrong
            if since is not None:
                gaps.append(world.now_s - since)
                since = None
            world.now_s += STEP_S
    day.started, day.most, day.memory_bytes = world.started, world.most, world.memory_bytes
    keeper.close()
    day.left, day.gaps_s = len(world.open), tuple(gaps[1:])  # the first is the start of the day
    return day


def virtual(hours: float, seeds: int) -> int:
    """Every seed; 0 when nothing happened that must not."""
    began = time.perf_counter()
    days = [virtual_day(hours, seed) for seed in range(seeds)]
    frames, seconds = sum(day.frames for day in days), time.perf_counter() - began
    print(f"{seeds} x {hours:g} virtual hours in {seconds:.0f} s, {frames:,} frames\n")
    rows = [["memory", "days", "faults", "gaps", "p50 s", "p99 s", "worst s", "without answer", "processes", "at once"]]
    for memory in sorted({day.memory_bytes for day in days}):
        some = [day for day in days if day.memory_bytes == memory]
        gaps = [gap for day in some for gap in day.gaps_s]
        p50, p99 = np.percentile(gaps, (50, 99))
        share = sum(gaps) / (3600 * hours * len(some))
        counts = [len(some), sum(day.faults for day in some), len(gaps)]
        times = [f"{p50:.2f}", f"{p99:.2f}", f"{max(gaps):.2f}", f"{share:.4%}"]
        started, most = sum(day.started for day in some), max(day.most for day in some)
        rows.append([f"{memory / 1e6:.0f} MB", *map(str, counts), *times, str(started), str(most)])
    print(align(rows))
    left, refused = sum(day.left for day in days), sum(day.refused for day in days)
    worst, most = max(max(day.gaps_s) for day in days), max(day.most for day in days)
    print(f"processes left over: {left}; answers of a refused rung: {refused}")
    starts = sum(day.started for day in days) / sum(day.faults for day in days)
    kept = worst <= GOAL_GAP_S and most <= 3 and starts <= GOAL_STARTS and not left and not refused
    words = "kept" if kept else "missed"
    print(f"processes started for each fault: {starts:.2f}")
    limits = f"no gap above {GOAL_GAP_S:g} s, 3 processes at once, {GOAL_STARTS:g} for each fault, nothing left over"
    print(f"goal: {limits}: {words}")
    return 0 if kept else 1


def slope(times_s: np.ndarray, held_bytes: np.ndarray) -> tuple[float, float]:
    """Least squares through resident memory: MB an hour, and twice its standard error."""
    hours, megabytes = times_s / 3600, held_bytes / 1e6
    design = np.stack([hours - hours.mean(), np.ones_like(hours)], axis=1)
    (rate, level), *_ = np.linalg.lstsq(design, megabytes, rcond=None)
    rest = megabytes - design @ np.array([rate, level])
    spread = np.sqrt((rest @ rest) / max(1, len(hours) - 2) / ((hours - hours.mean()) ** 2).sum())
    return float(rate), float(2 * spread)


@dataclass
class Watched:
    """Resident memory of this process over time.

    Args:
        times_s: of the samples.
        held_bytes: at each.
    """

    times_s: list[float] = field(default_factory=list)
    held_bytes: list[int] = field(default_factory=list)

    def sample(self, watch: Watch, now_s: float) -> None:
        """Take one when the last is SAMPLE_S ago."""
        if not self.times_s or now_s - self.times_s[-1] >= SAMPLE_S:
            gc.collect()
            self.times_s.append(now_s)
            self.held_bytes.append(watch.resident_bytes() or 0)

    def slope(self) -> tuple[float, float]:
        """After the warm-up."""
        first = int(len(self.times_s) * WARM_UP_SHARE)
        return slope(np.array(self.times_s[first:]), np.array(self.held_bytes[first:]))


def soak(engine: SupervisedEngine, lot: Lot, watched: Watched, seconds: float, every_s: float, seed: int) -> list[int]:
    """Frames and faults for so long. Returns how many frames were answered, and how many faults were made."""
    generator, watch, images = random.Random(seed), Watch(os.getpid()), make_images(8, seed=seed)
    frames = faults = 0
    began, next_fault_s = time.monotonic(), generator.expovariate(1 / every_s)
    while (now_s := time.monotonic() - began) < seconds:
        watched.sample(watch, now_s)
        if now_s >= next_fault_s and engine.running is not None:
            faults += 1
            started = break_it(engine, generator.choice(KINDS), images[faults % 8])
            gap_s = recover(engine, lot, images[0], started)
            lot.gaps_s["all"].append(math.inf if gap_s is None else gap_s)
            next_fault_s += generator.expovariate(1 / every_s)
        else:
            try:
                engine.infer(images[frames % 8])
                frames += 1
            except EngineError:
                lot.unanswered += 1
        time.sleep(FRAME_S)
    watch.close()
    return [frames, faults]


def real(minutes: float, every_s: float, seed: int) -> int:
    """Real processes for so long; 0 when the goals are kept."""
    lot, watched, care = Lot(), Watched(), Care(memory_bytes=200 * MIB)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "null.shoe"
        make_null_bundle(path, busy_us=2000)
        with SupervisedEngine(path, rung=MIDDLE, care=care) as engine:
            engine.wait_ready(60)
        before = Count.now()
        with SupervisedEngine(path, rung=MIDDLE, care=care) as engine:
            engine.wait_ready(60)
            frames, faults = soak(engine, lot, watched, 60 * minutes, every_s, seed)
        after = Count.now()
    rate, spread = watched.slope()
    gaps, held = lot.gaps_s["all"] or [0.0], watched.held_bytes
    counted = ("children", "descriptors", "shared")
    rows = [
        [f"{minutes:g} real minutes", ""],
        ["frames answered, unanswered", f"{frames:,}, {lot.unanswered}"],
        ["faults", str(faults)],
        ["gap p50, worst", f"{np.percentile(gaps, 50):.2f} s, {max(gaps):.2f} s"],
        ["resident, first and last", f"{held[0] / 1e6:.1f} MB, {held[-1] / 1e6:.1f} MB"],
        [f"slope after the first {WARM_UP_SHARE:.0%}", f"{rate:+.2f} MB/h (2 standard errors: {spread:.2f})"],
        *([name, f"{getattr(before, name)} -> {getattr(after, name)}"] for name in counted),
    ]
    print(align(rows))
    leaked = any(getattr(after, name) > getattr(before, name) for name in counted)
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
