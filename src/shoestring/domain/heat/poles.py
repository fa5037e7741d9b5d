"""Two thermal poles between a chip and the air around it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Poles:
    """T = ambient + slow + fast, where each part follows its share of watts x resistance with its own time constant.

    Source: the Foster form of a thermal network, JEDEC JESD51-14 (2010), with two stages.

    Args:
        slow_s: time constant of board and heat sink, s, above zero.
        fast_s: time constant of the chip itself, s, above zero.
        fast_share: of the resistance that the fast part has, 0 to 1.
    """

    slow_s: float
    fast_s: float
    fast_share: float

    def step(self, state: tuple[float, float], kelvin: float, seconds: float) -> tuple[float, float]:
        """Both parts after `seconds` of a constant load, exactly.

        Args:
            state: rise of the slow and of the fast part over the air, K.
            kelvin: watts x resistance, the rise that the load would reach.
            seconds: above zero.
        """
        return self.stepped(state, kelvin, self.left(seconds))

    def left(self, seconds: float) -> tuple[float, float]:
        """What is left of a difference after so long, in the slow and in the fast part."""
        return math.exp(-seconds / self.slow_s), math.exp(-seconds / self.fast_s)

    def stepped(self, state: tuple[float, float], kelvin: float, left: tuple[float, float]) -> tuple[float, float]:
        """`step`, with what `left` gave for its seconds."""
        slow_end, fast_end = (1 - self.fast_share) * kelvin, self.fast_share * kelvin
        return slow_end + (state[0] - slow_end) * left[0], fast_end + (state[1] - fast_end) * left[1]

    def rest(self, kelvin: float) -> tuple[float, float]:
        """Both parts after a load of `kelvin` that has lasted for ever."""
        return (1 - self.fast_share) * kelvin, self.fast_share * kelvin
