"""What to make of a temperature without knowing the board: where it is going."""

from __future__ import annotations

from dataclasses import dataclass

SMOOTH_S, SLOPE_S = 3.0, 15.0
"""Time constants of the temperature and of its slope, s."""
AHEAD_S = 60.0
"""The slope is believed to go on for so long."""
NEAR, FAR = 1.0, 5.0
"""Kelvin below the limit: a forecast nearer than the first lowers the load, one further off than the second lets it
rise."""
DOWN, DOWN_HARD, UP = 0.7, 0.4, 1.2
"""Factors on the load, for a forecast over the limit, a reading over it, and room."""
AGAIN_S = 15.0
"""A drop is given so long to show, before the next; a reading over the limit does not wait."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Smoothed readings.

    Args:
        celsius: of the chip.
        slope: K/s.
    """

    celsius: float
    slope: float

    def seen(self, celsius: float, seconds: float) -> Slope:
        """After one more reading, `seconds` after the last."""
        share = seconds / (seconds + SMOOTH_S)
        smooth = self.celsius + share * (celsius - self.celsius)
        share = seconds / (seconds + SLOPE_S)
        return Slope(smooth, self.slope + share * ((smooth - self.celsius) / seconds - self.slope))

    def forecast(self) -> float:
        """Degrees Celsius in a minute if it goes on like this; never cooler than now."""
        return self.celsius + max(0.0, self.slope) * AHEAD_S


def factor(slope: Slope, celsius: float, limit: float, since_s: float) -> float:
    """What the load may be times what it is.

    Args:
        celsius: the last reading.
        limit: degrees Celsius.
        since_s: since the load was last changed, s.
    """
    if celsius >= limit:
        return DOWN_HARD if since_s >= AGAIN_S / 3 else 1.0
    if slope.forecast() > limit - NEAR:
        return DOWN if since_s >= AGAIN_S else 1.0
    return UP if slope.forecast() < limit - FAR else 1.0
