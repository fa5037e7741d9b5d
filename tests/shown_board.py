"""A board for tests of sensors: two thermal poles under a load, and what is shown of it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from shoestring.domain.heat.poles import Poles

PI_4 = Poles(150.0, 6.0, 0.35)
PI_4_KELVIN = 41.0


@dataclass(frozen=True)
class State:
    """What a fake tree shows."""

    celsius: float = 55.25
    watts: float = 4.5
    clock: float = 1.0
    under_voltage: bool = False
    throttled: bool = False
    battery_wh: float | None = 31.5


class Board:
    """Celsius of a bare Raspberry Pi 4 in air of 25 C, its sensor in steps of 0.487 K with a little noise."""

    def __init__(self, seed: int, *, noise: float = 0.2, quantum: float = 0.487, kelvin: float = PI_4_KELVIN) -> None:
        self._chance = random.Random(seed)
        self._noise, self._quantum, self._kelvin = noise, quantum, kelvin
        self._parts = PI_4.rest(19.0)

    @property
    def celsius(self) -> float:
        return 25.0 + sum(self._parts)

    def advance(self, load: float, seconds: float = 1.0) -> None:
        self._parts = PI_4.step(self._parts, 19.0 + self._kelvin * load, seconds)

    def said(self) -> float:
        value = self.celsius + self._chance.gauss(0.0, self._noise)
        return round(round(value / self._quantum) * self._quantum, 3)
