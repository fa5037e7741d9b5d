"""Boards with their ladders, and days for them drawn from a seed: air that swings, cooling that fails."""

from __future__ import annotations

import math
import random
import tomllib
from dataclasses import dataclass
from pathlib import Path

from shoestring.chips.loading import catalogue
from shoestring.device.governor import BoardModel, RungPlan, board_model
from shoestring.device.simulated.board import Truth, drawn
from shoestring.device.simulated.faults import BoardFault
from shoestring.domain.chip import Chip

LADDERS = Path(__file__).with_name("governor_ladders.toml")
CERTIFICATE_POINTS = 1.0
DAY_S = 86400.0
KNOT_S = 60.0


@dataclass(frozen=True)
class Case:
    """A board, its ladder and its operator's wish."""

    chip: Chip
    cooling: str
    air: float
    limit: float
    ladder: str
    wanted: float
    plans: tuple[RungPlan, ...]
    model: BoardModel

    @property
    def dearest(self) -> RungPlan:
        return max((plan for plan in self.plans if plan.certified), key=lambda plan: plan.busy_s)

    @property
    def cheapest(self) -> RungPlan:
        return min((plan for plan in self.plans if plan.certified), key=lambda plan: plan.busy_s)


@dataclass(frozen=True)
class Day:
    """One seed: this very board, its air and its faults."""

    seed: int
    truth: Truth
    air: tuple[float, ...]
    faults: tuple[BoardFault, ...]

    def ambient(self, seconds: float) -> float:
        """Degrees Celsius, straight between one minute and the next."""
        at = seconds / KNOT_S
        low = min(int(at), len(self.air) - 2)
        return self.air[low] + (self.air[low + 1] - self.air[low]) * (at - low)


def cases(ladders: tuple[str, ...] = (), boards: tuple[str, ...] = (), own_limits: bool = False) -> list[Case]:
    """Every board with every ladder asked for; all of them where none is named. `own_limits`: the chip files' own."""
    known = catalogue()
    found = []
    for board in tomllib.loads(LADDERS.read_text())["boards"]:
        if boards and board["chip"] not in boards:
            continue
        chip = known[board["chip"]]
        load = chip.power.load.value - chip.power.idle.value
        for name, ladder in board["ladders"].items():
            if ladders and name not in ladders:
                continue
            plans = tuple(
                RungPlan(
                    rung["name"],
                    (rung["top1"] - CERTIFICATE_POINTS) / 100,
                    rung["certified"],
                    rung["ms"] / 1000,
                    rung["ms"] / 1000 * 1.2,
                    load,
                )
                for rung in ladder["rungs"]
            )
            model = board_model(chip, board["cooling"])
            limit = model.throttle_celsius if own_limits else board["limit"]
            found.append(Case(chip, board["cooling"], board["air"], limit, name, ladder["wanted"], plans, model))
    return found


def day(case: Case, seed: int, hours: float, faulty: bool = True) -> Day:
    """The day of that seed.

    Air: the board's mean, a daily wave of 5 to 9 K either way, weather (1 K, over an hour or so), and one to three
    spells of sun on the box (4 to 8 K more for half an hour to two hours, within ten minutes); never outside what the
    chip file permits. Cooling: two faults of 20 to 90 minutes each. A fan stands still; on a board without one the
    vents are covered, and board and heat sink shed their heat over 1.2 to 1.5 times the resistance.
    """
    chance = random.Random(f"day {case.chip.name} {seed}")
    wave, phase = chance.uniform(5.0, 9.0), chance.uniform(0, 2 * math.pi)
    seconds = hours * 3600
    suns = [
        (chance.uniform(0, seconds), chance.uniform(1800.0, 7200.0), chance.uniform(4.0, 8.0))
        for _ in range(chance.randint(1, 3))
    ]
    low, high = case.chip.ambient_low.value, case.chip.ambient_high.value
    weather, air = 0.0, []
    for minute in range(int(seconds / KNOT_S) + 3):
        at = minute * KNOT_S
        weather += -weather * KNOT_S / 3600 + chance.gauss(0, 1.0) * math.sqrt(2 * KNOT_S / 3600)
        sun = sum(kelvin * _ramp(at, start, length) for start, length, kelvin in suns)
        value = case.air + wave * math.sin(2 * math.pi * at / DAY_S + phase) + weather + sun
        air.append(min(max(value, low), high))
    faults = []
    for half in range(2):
        length = chance.uniform(1200.0, 5400.0)
        start = chance.uniform(half * seconds / 2, max(half * seconds / 2 + 1, (half + 1) * seconds / 2 - length))
        kind, value = ("fan", 0.0) if case.model.fan else ("air", chance.uniform(1.2, 1.5))
        faults.append(BoardFault(kind, start, start + length, value))
    return Day(seed, drawn(seed), tuple(air), tuple(faults) if faulty else ())


def _ramp(at: float, start: float, length: float) -> float:
    return min(1.0, max(0.0, min(at - start, start + length - at) / 600.0))
