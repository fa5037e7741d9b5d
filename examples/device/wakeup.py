"""A sensor that sleeps: wake, look once, answer, sleep. How long does a battery last?

    python examples/device/wakeup.py animals.shoe photo.jpg --sleep-watts 0.05 --every 600 --wh 20

The waking is real and measured here, five times, the median taken: a new process that checks the bundle, loads the
rung, replays the golden set and answers the photo. The watts are those of the chip's file; what the board takes asleep
depends on what switches it off, so measure that yourself. The time that it takes to boot is yours to add (--boot).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from shoestring.chips.loading import chip_named

TRIES = 5


def wake(bundle: Path, photo: Path, rung: str | None) -> float:
    """Seconds from nothing to an answer."""
    command = [sys.executable, "-m", "shoestring.cli.main", "run", bundle, photo, "--json"]
    command += [] if rung is None else ["--rung", rung]
    begun = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - begun


def duty(awake_s: float, every_s: float, awake_watts: float, sleep_watts: float) -> tuple[float, float]:
    """Share of the time awake, and the mean power in W."""
    if awake_s > every_s:
        raise SystemExit(f"waking takes {awake_s:.1f} s, more than the {every_s:g} s between two looks")
    share = awake_s / every_s
    return share, share * awake_watts + (1 - share) * sleep_watts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--chip", default="raspberry-pi-zero-2w")
    parser.add_argument("--rung")
    parser.add_argument("--sleep-watts", type=float, required=True)
    parser.add_argument("--every", type=float, default=600.0, help="seconds between two looks")
    parser.add_argument("--boot", type=float, default=0.0, help="seconds until a program can start")
    parser.add_argument("--wh", type=float, default=20.0, help="of the battery")
    asked = parser.parse_args()
    chip = chip_named(asked.chip)
    if chip.power is None:
        raise SystemExit(f"nobody has published what a {chip.title} takes")
    load, idle = chip.power.load.value, chip.power.idle.value
    awake_s = asked.boot + statistics.median(wake(asked.bundle, asked.photo, asked.rung) for _ in range(TRIES))
    share, watts = duty(awake_s, asked.every, load, asked.sleep_watts)
    print(f"waking and answering takes {awake_s:.2f} s here; awake {100 * share:.2f} % of the time at {load:g} W")
    days = asked.wh / watts / 24
    print(f"mean {watts:.3f} W, {load * awake_s / 3.6:.2f} mWh an answer: {days:.1f} days of {asked.wh:g} Wh")
    print(f"always on and idle between answers: at least {idle:g} W, {asked.wh / idle / 24:.1f} days at most")


if __name__ == "__main__":
    main()
