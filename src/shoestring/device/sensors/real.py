"""The sensors of the board we run on, or of a tree of files that looks like one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.device.sensors.heat import heat_sources
from shoestring.device.sensors.judge import BUSY, PLAIN, Memory, heat_rules, judge
from shoestring.device.sensors.kernel import kernel_sources
from shoestring.device.sensors.pi import (
    CAPPED,
    SOFT_LIMIT,
    THROTTLED,
    UNDER_VOLTAGE,
    Firmware,
    ask,
    command_of,
    parse_bits,
    pmic_source,
    since_boot_words,
    throttled_for_heat,
)
from shoestring.device.sensors.power import battery_sources, package_source, rail_source
from shoestring.device.sensors.reader import Answer, Reader
from shoestring.device.sensors.readings import Fault, Readings
from shoestring.device.sensors.rise import Rise, Silicon
from shoestring.device.sensors.source import GarbledError, Source
from shoestring.domain.heat.simulate import CLOCK_POWER

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE_S = 0.5
FILLS = {"bits": ("throttled", "under_voltage"), "running": (), "load": ()}
"""Fields of `Readings` that those fill which are no field themselves."""


class RealSensors:
    """A board's own sensors, found once and kept: one that is not there any more is a fault, not an absence.

    Args:
        root: of the file system; another one in tests.
        clock: s, monotonic.
        silicon: how the processor's temperature can move; `judge.silicon_of` makes it from a chip file's constants.
        busy: share of the time that the engine computes, 0 to 1, where the processor's own load does not show it, as
            with an accelerator. The higher of both counts.
        deadline_s: for all reads of one look, s.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        clock: Callable[[], float] = time.monotonic,
        *,
        silicon: Silicon | None = None,
        busy: Callable[[], float | None] = lambda: None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._root, self._clock, self._busy = root, clock, busy
        self._silicon = Silicon() if silicon is None else silicon
        self._heat_rules = heat_rules(self._silicon)
        self._reader = Reader(_found(root, clock), deadline_s)
        self._memories: dict[Source, Memory] = {}
        self._rise = Rise()
        self._rise_s = clock()
        self._clock_share: float | None = None
        self._reader.forget(_not_ours(self._reader.look()))

    def look(self) -> Readings:
        """One look, within 1.5 deadlines whatever the sensors do."""
        answers = self._reader.look()
        at_s = self._clock()
        faults: list[Fault] = []
        load = self._load(answers, at_s)
        good = {source: self._judged(source, answer, at_s, load, faults) for source, answer in answers.items()}
        values = {source.field: value for source, value in good.items() if source.field != "celsius"}
        heat = [value for source, value in good.items() if source.field == "celsius"]
        # the hottest spot is not known while one of its sensors is silent; of those that disagree the hotter counts
        celsius = max((value for value in heat if value is not None), default=None) if None not in heat else None
        if celsius is not None:
            self._rise = self._rise.seen(celsius, self._silicon)
        bits = values.get("bits")
        throttled, weak = values.get("throttled"), values.get("under_voltage")
        if bits is not None:
            throttled, weak = throttled_for_heat(int(bits), celsius), bool(int(bits) & UNDER_VOLTAGE)
        clock = self._clock_share = _allowed(values.get("clock"), values.get("running"), bits)
        memory = values.get("memory_free_bytes")
        return Readings(
            at_s,
            celsius=celsius,
            watts=values.get("watts"),
            clock=clock,
            pressure=values.get("pressure"),
            memory_free_bytes=None if memory is None else int(memory),
            throttled=None if throttled is None else bool(throttled),
            under_voltage=None if weak is None else bool(weak),
            battery_wh=values.get("battery_wh"),
            on_battery=None if values.get("on_battery") is None else bool(values["on_battery"]),
            faults=tuple(faults),
        )

    def close(self) -> None:
        """End the reading thread."""
        self._reader.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the sensors that were found, each with what it fills."""
        return tuple(f"{source.field}: {source.name}" for source in self._reader.sources)

    def since_boot(self) -> tuple[str, ...] | None:
        """What a Raspberry Pi's firmware remembers since it started, in words; never part of a reading. None elsewhere.

        The kernel's own file is not asked: a driver clears its memory every two seconds (raspberrypi-hwmon.c).
        """
        command = command_of(self._root)
        try:
            return None if command is None else since_boot_words(int(parse_bits(ask(command, "get_throttled"))))
        except (OSError, GarbledError):
            return None

    def _judged(
        self, source: Source, answer: Answer, at_s: float, load: float | None, faults: list[Fault]
    ) -> float | None:
        """The value where it is believed; the faults get one more where it is not."""
        problem, value = answer.problem, answer.value
        if value is not None:
            heat = source.field == "celsius"
            rules = self._heat_rules if heat else PLAIN[source.field]
            driver = self._rise.kelvin if heat else load
            before = self._memories.get(source, Memory())
            busy = load is not None and load >= BUSY
            self._memories[source], problem = judge(before, value, at_s, rules, driver=driver, busy=busy)
        if not problem:
            return value
        said = f"{source.name}: {answer.said}".rstrip(": ")
        faults.extend(Fault(name, problem, said) for name in FILLS.get(source.field, (source.field,)))
        return None

    def _load(self, answers: dict[Source, Answer], at_s: float) -> float | None:
        """How busy the board was since the last look, and what that does to its heat."""
        shares = [answer.value for source, answer in answers.items() if source.field == "load"] + [self._busy()]
        known = [share for share in shares if share is not None]
        load = min(1.0, max(known)) if known else None
        share = 1.0 if self._clock_share is None else self._clock_share
        heat = None if load is None else load * share**CLOCK_POWER
        self._rise = self._rise.after(heat, at_s - self._rise_s, self._silicon)
        self._rise_s = at_s
        return load


def _allowed(clock: float | None, running: float | None, bits: float | None) -> float | None:
    """The clock that is allowed. A Raspberry Pi's firmware lowers it behind the back of cpufreq's cap."""
    if bits is None or not int(bits) & (CAPPED | THROTTLED | SOFT_LIMIT):
        return clock
    return None if running is None else min(running, 1.0 if clock is None else clock)


def _found(root: Path, clock: Callable[[], float]) -> tuple[Source, ...]:
    """All sensors; of those that tell watts the one that sees most of the board."""
    watts = rail_source(root) or package_source(root, clock) or pmic_source(root)
    meters = () if watts is None else (watts,)
    # heat first: whatever blocks behind it cannot make it late
    return (*heat_sources(root), *Firmware(root).sources(), *kernel_sources(root), *meters, *battery_sources(root))


def _not_ours(answers: dict[Source, Answer]) -> tuple[Source, ...]:
    """Sensors that are listed and cannot be read from the start: parts without power, or RAPL, which is root's.

    Of heat they go only when another sensor speaks: one that should tell it and does not is a fault, not an absence.
    """
    silent = [source for source, answer in answers.items() if answer.problem == "missing"]
    heat = [source for source in answers if source.field == "celsius"]
    deaf = all(answers[source].problem for source in heat)
    return tuple(source for source in silent if not (source.field == "celsius" and deaf))


__all__ = ["DEADLINE_S", "RealSensors"]
