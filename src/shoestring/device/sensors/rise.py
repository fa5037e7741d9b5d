"""How much warmer than the air a board should be: two thermal poles (`domain.heat.poles`) driven by its load."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoestring.domain.heat.poles import Poles
from shoestring.domain.heat.simulate import fan_level

if TYPE_CHECKING:
    from shoestring.domain.heat.simulate import Plant

STEEPEST_TIMES = 3.0
"""A chip's temperature is let move this many times faster than its constants say: they are known to 25 %, and there are
loads that take more than the one they were measured under."""

MOVED_KELVIN, MOVED_WITH_FAN_KELVIN = 2.0, 4.0
"""A value has moved too when the load moved it by so much, and by two of its sensor's steps: the model errs by half at
most. A fan that turns up just as the load does can hide some kelvin more."""
LEARN_S = 60.0
"""A program's first seconds are busy ones, and say little of what the board did before."""
USUAL_POLES = Poles(150.0, 6.0, 0.35)
"""As fitted on a bare Raspberry Pi 4 (its chip file); other boards' fast poles are not far."""


@dataclass(frozen=True)
class Silicon:
    """How a processor's temperature can move.

    Args:
        poles: of chip and board.
        kelvin: rise of a busy board over an idle one, at rest, K. Too low is safe: less is then called stuck.
        moved: a value has moved too when the load alone moved it by so much and two of its sensor's steps, K.
        idle_kelvin: rise of an idle board over the air, at rest, K. It matters only where a fan changes it.
        fan: (degrees Celsius from which on, share of the resistance that is left), by rising temperature.
        jump: that is believed between two looks, however close, K.
        jump_each_s: and for every second between them, K/s.
    """

    poles: Poles = USUAL_POLES
    kelvin: float = 12.0
    moved: float = MOVED_KELVIN
    idle_kelvin: float = 0.0
    fan: tuple[tuple[float, float], ...] = ()
    jump: float = 40.0
    jump_each_s: float = 20.0


def silicon_of(plant: Plant) -> Silicon:
    """Of a board whose constants are known: its steepest slope is that of an idle board that gets busy."""
    kelvin, share = (plant.load_watts - plant.idle_watts) * plant.resistance, plant.poles.fast_share
    steepest = kelvin * (share / plant.poles.fast_s + (1 - share) / plant.poles.slow_s)
    return Silicon(
        poles=plant.poles,
        kelvin=kelvin,
        idle_kelvin=plant.idle_watts * plant.resistance,
        fan=tuple((on, resistance / plant.resistance) for on, resistance in plant.fan),
        moved=MOVED_WITH_FAN_KELVIN if plant.fan else MOVED_KELVIN,
        jump=15.0,
        jump_each_s=max(4.0, STEEPEST_TIMES * steepest),
    )


@dataclass(frozen=True)
class Rise:
    """The rise over the air that a load makes.

    Args:
        parts: slow and fast part, K.
        level: of the fan, 0 is off.
        known_s: for how long the load has been known, s.
        load: mean of that time, until it is LEARN_S.
    """

    parts: tuple[float, float] = (0.0, 0.0)
    level: int = 0
    known_s: float = 0.0
    load: float = 0.0

    @property
    def kelvin(self) -> float | None:
        """Of both parts; None until the load has been known for LEARN_S."""
        return None if self.known_s < LEARN_S else sum(self.parts)

    def after(self, load: float | None, seconds: float, silicon: Silicon) -> Rise:
        """Some time later. What the board did before is not known; it is taken to have done what it does at first.

        Args:
            load: since, 0 to 1; None where it was not known.
            seconds: that went by.
            silicon: of the board.
        """
        if load is None:
            return Rise(level=self.level)
        if seconds <= 0:
            return self
        left = silicon.fan[self.level - 1][1] if self.level else 1.0
        if self.known_s >= LEARN_S:
            kelvin = (silicon.idle_kelvin + load * silicon.kelvin) * left
            return replace(self, parts=silicon.poles.step(self.parts, kelvin, seconds))
        known_s = self.known_s + seconds
        mean = self.load + (load - self.load) * seconds / known_s
        return Rise(silicon.poles.rest((silicon.idle_kelvin + mean * silicon.kelvin) * left), self.level, known_s, mean)

    def seen(self, celsius: float, silicon: Silicon) -> Rise:
        """The fan follows what the sensor says."""
        return replace(self, level=fan_level(silicon.fan, celsius, self.level))


__all__ = ["LEARN_S", "Rise", "Silicon", "silicon_of"]
