"""Interleaved timing of contestants that each live in a pinned process of their own."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

CHILD = Path(__file__).resolve().parent / "native_child.py"
START_SECONDS, BLOCK_SECONDS = 300.0, 120.0
WARM_SECONDS = 0.4
PAUSE = 0.08  # of a block's time, for everybody else: Linux stops real-time processes that take 95 % of a second
SEED = 5


class LeftOutError(Exception):
    """A contestant that cannot run; the message says why."""


class Runner:
    """A contestant's process. It is stopped whenever it is not its turn, so that waiting threads disturb nobody."""

    def __init__(self, python: str, request: dict[str, Any], cores: Sequence[int], realtime: bool) -> None:
        where = ",".join(map(str, cores))
        limits = {"TVM_NUM_THREADS": str(request["threads"]), "TVM_BIND_THREADS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = ["taskset", "-c", where, python, str(CHILD), json.dumps(request)]
        self._process = subprocess.Popen(
            ["chrt", "-r", "1", *command] if realtime else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | limits | {"OMP_NUM_THREADS": str(request["threads"])},
        )
        hello = self._answer(START_SECONDS)
        if "failed" in hello:
            self.close()
            raise LeftOutError(hello["failed"])
        self.version, self.loaded_ms = hello["version"], hello["loaded_ms"]
        self._stop()

    def block(self, count: int) -> list[float]:
        """Times of `count` inferences, ms."""
        return cast("list[float]", self._ask({"count": count})["times"])

    def peak_kb(self) -> int:
        return int(self._ask({"memory": True})["peak_kb"])

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            cast("IO[str]", stream).close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        self._process.send_signal(signal.SIGCONT)
        stdin = cast("IO[str]", self._process.stdin)
        stdin.write(json.dumps(question) + "\n")
        stdin.flush()
        answer = self._answer(BLOCK_SECONDS)
        self._stop()
        return answer

    def _stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def _answer(self, seconds: float) -> dict[str, Any]:
        timer = threading.Timer(seconds, self._process.kill)
        timer.start()
        line = cast("IO[str]", self._process.stdout).readline()
        timer.cancel()
        if not line:
            code = self._process.wait()
            raise LeftOutError(f"its process ended with {code}, or took longer than {seconds:.0f} s")
        return cast("dict[str, Any]", json.loads(line))


@dataclass
class Timing:
    """What was measured of one contestant.

    Args:
        version: of the engine.
        loaded_ms: import, load and first inference.
        warm_ms: the median once warm, before the rounds.
        peak_kb: largest resident memory of the process, KiB; Python and numpy are part of it.
        rounds: median of each round, ms; empty for one that was far too slow to take part.
    """

    version: str
    loaded_ms: float
    warm_ms: float
    peak_kb: int = 0
    rounds: list[float] = field(default_factory=list)


def warm(runner: Runner) -> Timing:
    """Run for about WARM_SECONDS, three times at least."""
    first = median(runner.block(3))
    again = runner.block(max(1, round(1e3 * WARM_SECONDS / first)))
    return Timing(runner.version, runner.loaded_ms, median(again[len(again) // 2 :]))


def interleave(runners: dict[str, Runner], seconds: float, rounds: int, slow: float) -> dict[str, Timing]:
    """Rounds in which every contestant runs one block, in a new order each time.

    Args:
        runners: by name, started.
        seconds: for all rounds together, about.
        rounds: how many.
        slow: who is this many times slower than the fastest is measured when warming up only.
    """
    found = {name: warm(runner) for name, runner in runners.items()}
    fastest = min((timing.warm_ms for timing in found.values()), default=0.0)
    playing = [name for name, timing in found.items() if timing.warm_ms <= slow * fastest]
    share_ms = 1e3 * seconds / rounds / max(1, len(playing))
    shuffled = random.Random(SEED)
    for _ in range(rounds):
        for name in shuffled.sample(playing, len(playing)):
            start = time.perf_counter()
            times = runners[name].block(max(2, round(share_ms / found[name].warm_ms)))
            found[name].rounds.append(median(times))
            time.sleep(PAUSE * (time.perf_counter() - start))
    for name, runner in runners.items():
        found[name].peak_kb = runner.peak_kb()
    return found


def can_be_realtime() -> bool:
    """Whether this user may start processes with SCHED_RR."""
    done = subprocess.run(["chrt", "-r", "1", "true"], capture_output=True, check=False)
    return done.returncode == 0


def median(values: Sequence[float]) -> float:
    return quantile(values, 0.5)


def quantile(values: Sequence[float], part: float) -> float:
    """Linear between neighbours."""
    ordered = sorted(values)
    place = part * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
