"""What power cuts, kills and refusing disks leave of everything that base.disk and a device's slots write.

    PYTHONPATH=tests python -P benchmarks/durability.py                        # one seed: some minutes
    PYTHONPATH=tests python -P benchmarks/durability.py --states 100000 --kills 1000
    PYTHONPATH=tests python -P benchmarks/durability.py --only disk

Every state after a cut, every kill and every refusal is checked as the tests of the same names check it
(tests/base/test_durable.py, tests/device/slots/test_slots_cuts.py); the first that fails ends the run with its words.
States are counted once each. `--states` goes on with new seeds until there are so many, the first seeds of slots and
the rest of base.disk, whose states are looked at a hundred times faster.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import disk_scenes
import faults
import killing
import power
import slot_cuts

MOST_SEEDS = 10_000


def cuts(scenes: dict[str, Any], seeds: int, limit: int, wanted: int) -> tuple[int, int]:
    """States after power cuts, all different, and the seeds that it took."""
    mixes = 40 if wanted else 2
    count, seen = 0, {name: set[bytes]() for name in scenes}
    logs = {name: power.record(scene.scenario()) for name, scene in scenes.items()}
    for seed in range(seeds if not wanted else MOST_SEEDS):
        for name, scene in scenes.items():
            count += power.cut(scene.scenario(), seed=seed, log=logs[name], limit=limit, seen=seen[name], mixes=mixes)
            if wanted and count >= wanted:
                return count, seed + 1
    return count, seeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=0, help="go on with new seeds until there are so many")
    parser.add_argument("--kills", type=int, default=100, help="at moments by chance, over all scenes")
    parser.add_argument("--only", choices=("disk", "slots"), help="one of the two")
    parser.add_argument("--parts", nargs="+", default=["cuts", "fsyncs", "kills", "faults"], help="of what is done")
    asked = parser.parse_args()
    groups = {"disk": (disk_scenes.SCENES, 400), "slots": (slot_cuts.SCENES, 30)}
    reached = 0
    for group in ("slots", "disk"):
        if asked.only not in (None, group):
            continue
        scenes, limit = groups[group]
        for part in asked.parts:
            start = time.process_time()
            words, count = _part(part, group, scenes, limit, asked, reached)
            reached += count
            print(f"{group:5} {words} ({time.process_time() - start:.0f} s of this process)", flush=True)
    print(f"{reached:,} different states after power cuts")


def _part(
    part: str, group: str, scenes: dict[str, Any], limit: int, asked: argparse.Namespace, reached: int
) -> tuple[str, int]:
    """One part over all scenes, in words, and how many states were looked at."""
    if part == "cuts":
        wanted = max(0, asked.states - reached) if group == "disk" else 0
        count, seeds = cuts(scenes, 1, limit, wanted)
        return f"{count:,} different states after a power cut, of {len(scenes)} scenes and {seeds} seeds", count
    if part == "fsyncs":
        spare = dropped = 0
        for name, scene in scenes.items():
            if not power.record(scene.scenario()).syncs():  # a start of a good bundle writes nothing
                continue
            found = power.drop_each(scene.scenario(), seed=1, limit=limit)
            if tuple(found) != getattr(scene, "spare", ()):
                raise SystemExit(f"{name}: {found}")
            spare, dropped = spare + len(found), dropped + len(power.record(scene.scenario()).syncs())
        return f"{dropped} fsyncs left out one at a time: {dropped - spare} found out, {spare} named as spare", 0
    if part == "kills":
        kills = [killing.at_every_call(scene.work()) for scene in scenes.values()]
        each = -(-asked.kills // (2 * len(scenes)))
        chance = sum(killing.at_random(scene.work(), each, seed=2).killed for scene in scenes.values())
        return f"{sum(kill.killed for kill in kills):,} kills, one before each system call, and {chance:,} by chance", 0
    points = sum(faults.at_every_point(scene.attempt()) for scene in scenes.values())
    keys = sum(faults.interrupted_at_every_point(scene.attempt()) for scene in scenes.values())
    return f"{points:,} refusals (ENOSPC, EIO, EROFS, EMFILE, at each call, once and for ever), {keys:,} Ctrl-C", 0


if __name__ == "__main__":
    main()
