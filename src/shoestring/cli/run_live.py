"""`shoestring run` of a video, a camera or an address: under the governor, until it ends or is stopped."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

from shoestring.device.live.listeners import Listener

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

    from shoestring.bundle import Bundle
    from shoestring.device.live.running import Running
    from shoestring.device.pipelines.nouns import Frame, Result
    from shoestring.device.slots.watching import Watching

LIMITS = (
    "fps", "deadline", "celsius", "watts", "memory", "battery_wh", "hours", "allow_degraded", "chip", "chip_file",
    "cooling", "decisions", "results", "video", "gate", "realtime", "mqtt", "mqtt_name",
    "mqtt_password", "mqtt_ca", "watch",
)  # fmt: skip
"""Any of them makes a run of images one under the governor."""
FALLBACK_RATE = 25.0
"""Frames a second of an annotated video whose source does not say: films' rate."""


def is_live(arguments: argparse.Namespace) -> bool:
    """Whether the governor is to run this."""
    from shoestring.device.pipelines.sources.opening import kind_of

    named = any(value is not None and value is not False for value in (getattr(arguments, name) for name in LIMITS))
    return named or any(kind_of(name) != "images" for name in arguments.files)


def run_live(arguments: argparse.Namespace) -> int:
    """Run it."""
    from shoestring.base.errors import EngineError, TrustError
    from shoestring.cli import console
    from shoestring.cli.slot_options import begin_again, bundle_for
    from shoestring.device.pipelines.sources.opening import kind_of

    again = False
    with contextlib.ExitStack() as stack:
        bundle, watching = bundle_for(arguments, stack, wait=True)
        try:
            again = _run(arguments, bundle, watching, stack)
            if watching is not None:
                watching.ended()
        except (EngineError, TrustError) as error:
            if watching is None or not watching.blames(error):
                raise
            again = all(kind_of(name) in ("camera", "stream") for name in arguments.files)
            if not again:
                console.say(str(watching.leaving))
                raise
    if again and watching is not None:
        console.say(str(watching.leaving))
        begin_again()
    return 0


def _run(arguments: argparse.Namespace, bundle: Bundle, watching: Watching | None, stack: ExitStack) -> bool:
    """Run one bundle; returns whether to begin again with another one."""
    from shoestring.base.errors import UsageError
    from shoestring.cli import console
    from shoestring.cli.live_options import asked_of, mqtt_of, sparing_of
    from shoestring.cli.trust_options import hold
    from shoestring.device.live.running import Running, chip_of
    from shoestring.device.pipelines.sources import open_source
    from shoestring.device.service.beats import Beats
    from shoestring.device.service.notify import Heart, Notifier

    for flag in ("cascade", "latency", "threads"):
        if getattr(arguments, flag) is not None:
            raise UsageError(f"--{flag} does not go with the governor, which picks rungs", hint="--rung pins one")
    asked = asked_of(arguments)
    console.say(hold(bundle, arguments))
    source = open_source(arguments.files, bundle.manifest.pixels, realtime=arguments.realtime)
    stack.callback(source.close)
    heart = Heart(Notifier(os.environ), "frames", "governor")
    screen = Screen(quiet=arguments.json)
    listeners: list[Listener] = [screen, Beats(heart), *([] if watching is None else [watching])]
    listeners += mqtt_of(arguments, bundle.manifest, screen.trouble, stack)
    listeners += _keeping(arguments, source.rate, stack)
    running = stack.enter_context(
        Running(
            bundle,
            asked,
            chip=chip_of(bundle, arguments.chip, arguments.chip_file),
            listeners=listeners,
            journal=arguments.decisions,
            source_rate=source.rate if source.live else None,
        )
    )
    if watching is not None:
        watching.attach(lambda: running.engine.rungs)
    console.say(begins(running))
    left = False
    with stopped_by_signals() as stop:

        def moves() -> None:
            nonlocal left
            heart.beat("frames")
            # A file is not begun again in the middle: its next run takes the other bundle.
            if watching is not None and watching.leaving is not None and source.live and not stop.is_set():
                left = True
                stop.set()

        heart.ready()
        running.run(source, sparing_of(arguments), stop, moves)
        if not left:
            heart.stopping()
    console.say(screen.summary())
    return left


def _keeping(arguments: argparse.Namespace, rate: float | None, stack: ExitStack) -> Iterator[Listener]:
    """Who keeps the results."""
    from shoestring.device.live.keeping import ResultLines, VideoFile

    if arguments.json:
        yield ResultLines(sys.stdout)
    if arguments.results is not None:
        yield ResultLines(stack.enter_context(arguments.results.open("a", encoding="utf-8")))
    if arguments.video is not None:
        yield VideoFile(arguments.video, rate or FALLBACK_RATE)


def begins(running: Running) -> str:
    """What runs and what is kept to, in words."""
    limits = running.limits
    kept = [f"{limits.celsius:g} C" if limits.celsius is not None else ""]
    kept += [f"{limits.watts:g} W" if limits.watts is not None else ""]
    kept += [f"{1000 * limits.deadline_s:g} ms" if limits.deadline_s is not None else ""]
    rungs = ", ".join(plan.name for plan in running.plans)
    model = "with" if running.has_thermal_model else "without"
    return f"rungs {rungs}; kept below {', '.join(filter(None, kept))}, {model} a thermal model of the board"


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second one ends the program as ever."""
    stop = threading.Event()
    before = {}

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old)


class Screen(Listener):
    """Says what is seen when it changes, moves, and troubles.

    Args:
        quiet: only counts; the results go elsewhere.
    """

    name = "screen"

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._seen = ("", "")
        self._by: Counter[str] = Counter()
        self._rungs: Counter[str] = Counter()
        self._lost = 0
        self._first_s: float | None = None
        self._last_s = 0.0
        self._slow: list[float] = []

    def result(self, frame: Frame, result: Result) -> None:
        self._by[result.by] += 1
        if result.by == "model":
            self._rungs[result.rung] += 1
            self._slow.append(result.answered_s - result.arrived_s)
        self._first_s = result.arrived_s if self._first_s is None else self._first_s
        self._last_s = result.answered_s
        seen = what(result)
        if not self._quiet and (seen, result.name) != self._seen:
            where = result.name if frame.number == 0 or result.name != self._seen[1] else f"frame {result.frame}"
            print(f"{where or f'frame {result.frame}'}: {seen} [{result.rung}]", flush=True)
        self._seen = (seen, result.name)

    def dropped(self, count: int) -> None:
        self._lost += count

    def trouble(self, what: str, words: str | None) -> None:
        from shoestring.cli import console

        console.say(f"{what}: {'well again' if words is None else words}")

    def summary(self) -> str:
        """One line about the whole run."""
        total = sum(self._by.values())
        if not total or self._first_s is None:
            return f"no frame was answered, {self._lost} were dropped"
        by = ", ".join(
            f"{count} by the {who}" if who != "still" else f"{count} stood still" for who, count in self._by.items()
        )
        rate = total / max(self._last_s - self._first_s, 1e-9)
        slow = sorted(self._slow)
        times = (
            f"; from arrival to answer {1000 * slow[len(slow) // 2]:.1f} ms, "
            f"{1000 * slow[int(0.99 * (len(slow) - 1))]:.1f} ms for 1 in 100"
            if slow
            else ""
        )
        rungs = ", ".join(f"{rung} {count}" for rung, count in self._rungs.items())
        return f"{total} frames at {rate:.1f} a second ({by}), {self._lost} dropped{times}; rungs: {rungs}"


def what(result: Result) -> str:
    """What is seen: the best class, or how many of each kind of thing."""
    if result.answer is not None:
        return f"{result.answer.label} {100 * result.answer.score:.0f} %"
    counts = Counter(box.label for box in result.boxes)
    return ", ".join(f"{count} {label}" for label, count in sorted(counts.items())) or "nothing"
