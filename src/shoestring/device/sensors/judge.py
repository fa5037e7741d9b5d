"""What is not believed: out of range, a jump that no silicon makes, the same value while it must have moved. No I/O.

A value that repeats proves nothing: a quiet board at rest says the same for hours, in steps of half a degree. So a
sensor is stuck only when its value stands while the load alone (`rise.py`) should have moved it by more than any step;
or when a sensor that trembles stands, under load, far longer than it ever did before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoestring.device.sensors.pi import HIGHEST_BITS
from shoestring.device.sensors.sysfs import COLDEST, HOTTEST

if TYPE_CHECKING:
    from shoestring.device.sensors.rise import Silicon


@dataclass(frozen=True)
class Rules:
    """What one sensor may say.

    Args:
        low, high: it says more than the one and less than the other.
        moved: when its driver moved by so much, the value has moved too; None where nothing drives it.
        step: of a sensor that has not shown its own yet; twice its step is added to `moved`.
        jump, jump_each_s: as in `Silicon`; None for no such limit.
        no_zero: a bare 0 is what dead sensors say; it is believed only from a sensor that was near it before.
        trust_again_s: a sensor that lied is heard for so long before it is believed, s.
    """

    low: float
    high: float
    moved: float | None = None
    step: float = 0.0
    jump: float | None = None
    jump_each_s: float = 0.0
    no_zero: bool = False
    trust_again_s: float = 0.0


NEAR_ZERO = 5.0
"""A bare 0 is honest from a sensor that said no more than this before."""
LEAST_LOOKS = 3
"""A value that was seen less often is not called stuck."""
MOVED_LOAD = 0.4
"""Watts of a board that gets so much busier are not the same to the last digit."""
HABIT_RUNS, HABIT_RETURNS, HABIT_TIMES, HABIT_S = 30, 0.5, 8.0, 30.0
"""A sensor trembles when, of HABIT_RUNS runs of one value under load, HABIT_RETURNS ended in the value before. When one
that does stands HABIT_TIMES longer than ever before, and for HABIT_S, under load, it is stuck."""
BUSY = 0.25
"""Share of the processor from which on a board counts as under load."""

PLAIN = {
    "watts": Rules(0.0, 2000.0, moved=MOVED_LOAD, trust_again_s=3.0),
    "clock": Rules(0.0, 1.05),
    "pressure": Rules(-0.01, 100.01),
    "memory_free_bytes": Rules(-1.0, float(1 << 50)),
    "battery_wh": Rules(-0.001, 5000.0),
    "on_battery": Rules(-0.5, 1.5),
    "under_voltage": Rules(-0.5, 1.5),
    "bits": Rules(-0.5, HIGHEST_BITS + 0.5),
    "running": Rules(0.0, 1.5),
    "load": Rules(-0.001, 1.001),
}
"""By field of `Readings`; bounds are open."""


def heat_rules(silicon: Silicon) -> Rules:
    """For a sensor of temperature."""
    return Rules(
        COLDEST, HOTTEST, silicon.moved, 1.0, silicon.jump, silicon.jump_each_s, no_zero=True, trust_again_s=10.0
    )


@dataclass(frozen=True)
class Memory:
    """What is kept of one sensor.

    Args:
        value, at_s: what it said last within its range, and when.
        looks: how often it has said just that.
        step: least difference between two values that followed each other; None before the first.
        low, high: least and most of its driver meanwhile; None where the driver was not known.
        good: the last value that was believed.
        lied_s: since when it has had to speak well again; None while it is trusted.
        fault: what it did then.
        changes: how often its value changed since.
        busy_s: since when the value has stood under load.
        before: the value before this one.
        runs, returns, longest_s: runs of one value under load that ended, how many of them in the value before, and the
            longest, s.
    """

    value: float | None = None
    at_s: float = 0.0
    looks: int = 0
    step: float | None = None
    low: float | None = None
    high: float | None = None
    good: float | None = None
    lied_s: float | None = None
    fault: str = ""
    changes: int = 0
    busy_s: float | None = None
    before: float | None = None
    runs: int = 0
    returns: int = 0
    longest_s: float = 0.0


def judge(
    memory: Memory, value: float, at_s: float, rules: Rules, *, driver: float | None = None, busy: bool = False
) -> tuple[Memory, str]:
    """One value of one sensor.

    Args:
        memory: as the last call gave it.
        value: what the sensor says.
        at_s: when, s.
        rules: for it.
        driver: what should move it, in the unit of `rules.moved`; None where that is not known.
        busy: whether the board is under load.

    Returns:
        What to keep, and the kind of fault or an empty word.
    """
    if not rules.low < value < rules.high or _dead_zero(memory, value, rules):
        return _distrusted(memory, at_s, "impossible")
    jumped = _jumped(memory, value, at_s, rules)
    kept = _kept(memory, value, at_s, driver, busy)
    if jumped:
        return _distrusted(kept, at_s, "impossible")
    if _stands(kept, at_s, rules):
        return _distrusted(kept, at_s, "stuck")
    if kept.lied_s is not None:
        if at_s - kept.lied_s < rules.trust_again_s or (rules.trust_again_s and not kept.changes):
            return kept, kept.fault
        kept = replace(kept, lied_s=None)
    return replace(kept, good=value), ""


def _distrusted(memory: Memory, at_s: float, fault: str) -> tuple[Memory, str]:
    return replace(memory, lied_s=at_s, fault=fault, changes=0), fault


def _dead_zero(memory: Memory, value: float, rules: Rules) -> bool:
    return rules.no_zero and value == 0 and (memory.good is None or abs(memory.good) > NEAR_ZERO)


def _jumped(memory: Memory, value: float, at_s: float, rules: Rules) -> bool:
    """Against what was said before, in range or believed or not: a liar must hold together to be trusted again."""
    if rules.jump is None or memory.value is None:
        return False
    return abs(value - memory.value) > rules.jump + rules.jump_each_s * max(0.0, at_s - memory.at_s)


def _kept(memory: Memory, value: float, at_s: float, driver: float | None, busy: bool) -> Memory:
    """The memory with this value in it."""
    if value == memory.value:
        known = [bound for bound in (memory.low, memory.high, driver) if bound is not None]
        low, high = min(known, default=None), max(known, default=None)
        busy_s = None if not busy else at_s if memory.busy_s is None else memory.busy_s
        return replace(memory, at_s=at_s, looks=memory.looks + 1, low=low, high=high, busy_s=busy_s)
    step = memory.step
    if memory.value is not None:
        step = abs(value - memory.value) if step is None else min(step, abs(value - memory.value))
    ended = memory.busy_s is not None
    run_s = at_s - memory.busy_s if memory.busy_s is not None else 0.0
    return replace(
        memory,
        value=value,
        at_s=at_s,
        looks=1,
        step=step,
        low=driver,
        high=driver,
        changes=memory.changes + (memory.value is not None),
        busy_s=at_s if busy else None,
        before=memory.value,
        runs=memory.runs + ended,
        returns=memory.returns + (ended and value == memory.before),
        longest_s=max(memory.longest_s, run_s),
    )


def _stands(memory: Memory, at_s: float, rules: Rules) -> bool:
    """Whether the value stands where it should have moved."""
    if rules.moved is None or memory.looks < LEAST_LOOKS:
        return False
    step = rules.step if memory.step is None else min(rules.step, memory.step)
    if memory.low is not None and memory.high is not None and memory.high - memory.low >= rules.moved + 2 * step:
        return True
    if memory.busy_s is None or memory.runs < HABIT_RUNS or memory.returns < HABIT_RETURNS * memory.runs:
        return False
    return at_s - memory.busy_s > max(HABIT_S, HABIT_TIMES * memory.longest_s)


__all__ = ["BUSY", "PLAIN", "Memory", "Rules", "heat_rules", "judge"]
