"""What goes wrong on a simulated board, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.device.sensors.sysfs import COLDEST, HOTTEST

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = ("fan", "air", "supply", "lies", "stuck", "missing", "late")


@dataclass(frozen=True)
class BoardFault:
    """One thing that is wrong for a while.

    Args:
        kind: one of KINDS: `fan` stands still; `air`: vents are covered, and board and heat sink (the slow part) shed
            their heat over `value` times the resistance, the chip's way to them being what it was; `supply` gives at
            most `value` watts, and above that the voltage sags; the thermal sensor `lies` and says `value` degrees, is
            `stuck` at its last word (and judged so after `value` seconds), `missing`, or `late`.
        from_s, until_s: of the board's clock.
        value: as above.

    Raises:
        UsageError: no such kind, or a time that ends before it begins.
    """

    kind: str
    from_s: float
    until_s: float
    value: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"no fault {self.kind!r} of a board", hint=f"one of {', '.join(KINDS)}")
        if not self.from_s < self.until_s:
            raise UsageError(f"a fault from {self.from_s:g} s to {self.until_s:g} s never is", hint="give it some time")


@dataclass(frozen=True)
class Said:
    """What the thermal sensor says, and why it is not believed; `kind` None: it is."""

    shown: float | None
    kind: str | None


def during(faults: Sequence[BoardFault], kind: str, at_s: float) -> BoardFault | None:
    """The fault of that kind that is on at that time."""
    for fault in faults:
        if fault.kind == kind and fault.from_s <= at_s < fault.until_s:
            return fault
    return None


def lie(faults: Sequence[BoardFault], at_s: float, honest: float) -> Said:
    """What a thermal sensor says for `honest`. A lie that is possible is believed: nobody could know."""
    if not faults:
        return Said(honest, None)
    if during(faults, "missing", at_s):
        return Said(None, "missing")
    if during(faults, "late", at_s):
        return Said(None, "late")
    told = during(faults, "lies", at_s)
    if told is None:
        return Said(honest, None)
    return Said(told.value, None if COLDEST < told.value < HOTTEST else "impossible")
