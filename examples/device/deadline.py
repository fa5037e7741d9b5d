"""A vehicle's deadline: is the answer there within the frame's time, 999 times in 1,000, on this machine?

    python examples/device/deadline.py people.shoe film.avi --budget-ms 500 --frames 2000

The film is played as fast as the engine takes it, again and again, and every frame is timed from its arrival to its
answer: that is the time that a waiting brake would see. The governor keeps to rungs whose time is below the budget, and
drops to a cheaper one when a busy board makes frames late. Exit 1 where the
budget does not hold.
"""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

import numpy as np

from shoestring.bundle import open_bundle
from shoestring.device.live.asked import Asked
from shoestring.device.live.listeners import Listener
from shoestring.device.live.running import Running
from shoestring.device.pipelines.nouns import Frame, Result
from shoestring.device.pipelines.pipeline import Sparing
from shoestring.device.pipelines.sources import open_source

LEAST_FRAMES = 1000
"""Below so many there is no 1 in 1,000 to be seen."""


class Stopwatch(Listener):
    """Times every frame, and ends the run when it has enough.

    Args:
        frames: that are enough.
        stop: set then.
    """

    name = "stopwatch"

    def __init__(self, frames: int, stop: threading.Event) -> None:
        self.seconds: list[float] = []
        self.rungs: dict[str, int] = {}
        self._frames, self._stop = frames, stop

    def result(self, frame: Frame, result: Result) -> None:
        self.seconds.append(result.answered_s - result.arrived_s)
        self.rungs[result.rung] = self.rungs.get(result.rung, 0) + 1
        if len(self.seconds) >= self._frames:
            self._stop.set()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("film")
    parser.add_argument("--budget-ms", type=float, default=100.0)
    parser.add_argument("--frames", type=int, default=2000)
    asked = parser.parse_args()
    if asked.frames < LEAST_FRAMES:
        parser.error(f"{asked.frames} frames show no 1 in 1,000; take at least {LEAST_FRAMES}")
    stop = threading.Event()
    watch = Stopwatch(asked.frames, stop)
    with (
        open_bundle(asked.bundle) as bundle,
        Running(bundle, Asked(deadline_s=asked.budget_ms / 1000), listeners=[watch]) as running,
    ):
        while not stop.is_set():
            source = open_source([asked.film], bundle.manifest.preprocess)
            running.run(source, Sparing(), stop)
            source.close()
    times = 1000 * np.array(watch.seconds)
    late = int((times > asked.budget_ms).sum())
    p50, p99, p999 = np.percentile(times, [50, 99, 99.9])
    rungs = ", ".join(f"{name} {count}" for name, count in watch.rungs.items())
    holds = bool(p999 <= asked.budget_ms)
    print(f"{len(times)} frames; rungs: {rungs}")
    print(f"arrival to answer: median {p50:.1f} ms, p99 {p99:.1f} ms, p99.9 {p999:.1f} ms, worst {times.max():.1f} ms")
    print(f"{late} later than {asked.budget_ms:g} ms: the budget {'holds' if holds else 'does not hold'}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
