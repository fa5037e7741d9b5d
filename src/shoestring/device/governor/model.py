"""The board as the policy believes it to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.domain.heat.plant import cooling_of
from shoestring.domain.heat.poles import Poles

if TYPE_CHECKING:
    from shoestring.domain.chip import Chip

HOTTEST_AIR = 50.0
"""Degrees Celsius of the air that a blind policy reckons with where the chip file names no highest: what makers of
single-board computers permit (general knowledge, unverified)."""


@dataclass(frozen=True)
class BoardModel:
    """Constants of a chip file, right within a quarter or so.

    Args:
        poles: of chip and air.
        resistance: K/W with the fan off or without one.
        fan: (degrees Celsius from which on, K/W), by rising temperature.
        idle_watts: of the board.
        load_watts: with everything busy at full clock.
        throttle_celsius: where the kernel begins to lower the clock; None where unknown.
        hottest_air_celsius: permitted.
    """

    poles: Poles
    resistance: float
    fan: tuple[tuple[float, float], ...]
    idle_watts: float
    load_watts: float
    throttle_celsius: float | None
    hottest_air_celsius: float

    def at(self, level: int) -> float:
        """K/W with the fan at that step; 0 is off."""
        return self.fan[level - 1][1] if level else self.resistance


def board_model(chip: Chip, cooling: str | None = None) -> BoardModel | None:
    """What a chip file tells the policy.

    Args:
        cooling: one of `domain.chip.COOLINGS`; None takes the best that the file knows.

    Returns:
        None where the file has no thermal constants or no watts.

    Raises:
        UsageError: the file describes other coolings than that one.
    """
    found = cooling_of(chip, cooling)
    if found is None or chip.power is None:
        return None
    return BoardModel(
        poles=Poles(found.slow.value, found.fast.value, found.fast_share.value),
        resistance=found.resistance.value,
        fan=tuple((step.on.value, step.resistance.value) for step in found.steps),
        idle_watts=chip.power.idle.value,
        load_watts=chip.power.load.value,
        throttle_celsius=chip.throttle[0].at.value if chip.throttle else None,
        hottest_air_celsius=HOTTEST_AIR if chip.ambient_high is None else chip.ambient_high.value,
    )
