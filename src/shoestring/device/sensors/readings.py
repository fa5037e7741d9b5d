"""One look at a board, judged: what is impossible, stuck or late is None here and named among the faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

FAULTS = ("missing", "impossible", "stuck", "late")


@dataclass(frozen=True)
class Fault:
    """A sensor that is not to be believed.

    Args:
        sensor: `celsius`, `watts`, ...: the field of `Readings` that it would have filled.
        kind: one of FAULTS.
        said: what it said, for people; empty when it said nothing.
    """

    sensor: str
    kind: str
    said: str = ""


@dataclass(frozen=True)
class Readings:
    """What the governor gets to see. None is "not known", and the policy takes the worse of what may be.

    Args:
        at_s: monotonic clock of the board when the look was over, s.
        celsius: of the hottest sensor of the processor.
        watts: of the whole board or, where only that is to be had, of the processor package; mean since the last look.
        clock: share of the full clock that the processor is allowed now, 0 to 1.
        pressure: percent of time that some task waited for a processor (PSI cpu some, avg10), 0 to 100.
        memory_free_bytes: MemAvailable of the kernel.
        throttled: whether the board holds its clock down for its heat, now.
        under_voltage: whether its supply is too weak, now. It is about power, never about heat.
        battery_wh: energy left in the battery.
        on_battery: whether the board lives on it now.
        faults: of sensors that should be there, or that lied.
    """

    at_s: float
    celsius: float | None = None
    watts: float | None = None
    clock: float | None = None
    pressure: float | None = None
    memory_free_bytes: int | None = None
    throttled: bool | None = None
    under_voltage: bool | None = None
    battery_wh: float | None = None
    on_battery: bool | None = None
    faults: tuple[Fault, ...] = ()


class Sensors(Protocol):
    """A board to look at: the real one, or a simulated one."""

    def look(self) -> Readings:
        """One look. It returns within a second whatever the sensors do, and never raises for what they say."""
        ...

    def close(self) -> None:
        """Give back what looking takes; a second call does nothing."""
        ...
