"""Boards for benchmarks/sensor_faults.py: simulated ones with a fake tree, the real sensors and the governor."""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoestring.chips.loading import catalogue
from shoestring.device.governor import Limits, Policy, RungPlan, Work, board_model
from shoestring.device.sensors import Readings, RealSensors, silicon_of
from shoestring.device.sensors.judge import BUSY, Memory, heat_rules, judge
from shoestring.device.sensors.rise import Rise, Silicon
from shoestring.device.sensors.source import GarbledError, milli_of
from shoestring.device.simulated.board import SimulatedBoard, drawn
from shoestring.device.simulated.faults import BoardFault
from shoestring.device.simulated.kinds import KINDS
from shoestring.device.simulated.tree import FakeTree
from shoestring.domain.heat.plant import cooling_of, plant_of
from shoestring.domain.heat.simulate import CLOCK_POWER, fan_level

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shoestring.device.governor import BoardModel, Decision, State
    from shoestring.device.sensors import Sensors

BOARDS = {
    "raspberry-pi-4": ("raspberry-pi-4b-4gb", "bare"),
    "raspberry-pi-5": ("raspberry-pi-5-8gb", "fan"),
    "jetson-nano": ("jetson-nano-4gb", "heatsink"),
    "jetson-orin-nano": ("jetson-orin-nano-8gb", "fan"),
    "coral-dev-board": ("coral-dev-board", "heatsink"),
    "x86": ("n100-mini-pc-8gb", "fan"),
}
"""Kind of tree -> chip file and cooling."""
STEPS = {
    "raspberry-pi-4": 0.487,
    "raspberry-pi-5": 0.55,
    "jetson-nano": 0.5,
    "jetson-orin-nano": 0.031,
    "coral-dev-board": 1.0,
    "x86": 1.0,
}
"""Kelvin between two values of such a board's thermal sensor (general knowledge, unverified)."""
STEADY, STEADY_S = "stuck, steady", 400
CHIPS = catalogue()


@dataclass(frozen=True)
class Case:
    """One case; everything else follows from its seed."""

    seed: int
    kind: str
    fault: str

    @property
    def chance(self) -> random.Random:
        return random.Random(f"sensor fault {self.seed}")


class Believer:
    """What programs usually do."""

    def __init__(self, root: Path, kind: str, clock: Callable[[], float]) -> None:
        self._path, self._clock, self._last = root / KINDS[kind].sensors["celsius"], clock, 0.0

    def look(self) -> Readings:
        with contextlib.suppress(OSError, GarbledError):
            self._last = milli_of(self._path)
        return Readings(self._clock(), celsius=self._last)

    def close(self) -> None:
        pass


class Scene:
    """Board, tree, sensors and governor of one case."""

    def __init__(self, case: Case, root: Path, make: Callable[[Case, Path, Callable[[], float]], Sensors]) -> None:
        self.case, chance = case, case.chance
        name, cooling = BOARDS[case.kind]
        chip = CHIPS[name]
        model = board_model(chip, cooling)
        assert model is not None
        self.model: BoardModel = model
        load = model.load_watts - model.idle_watts
        self.plans = (
            RungPlan("large", 0.75, True, 0.20, 0.24, load),
            RungPlan("middle", 0.74, True, 0.10, 0.12, load),
            RungPlan("small", 0.70, True, 0.04, 0.05, load),
        )
        # below the throttling point, and so that a busy board is above what the hottest air permits
        half = model.idle_watts + 0.5 * load
        self.limit = min(chip.throttle[0].at.value - 2, model.hottest_air_celsius + half * model.at(len(model.fan)))
        self.policy = Policy(self.plans, Limits(rate=24.0, celsius=self.limit), model)
        self.state: State = self.policy.start()
        self.decision: Decision | None = None
        air = chance.uniform(10.0, 30.0)
        self.board = SimulatedBoard(
            chip,
            lambda _: air,
            cooling=cooling,
            truth=drawn(case.seed),
            seed=case.seed,
            quantum=STEPS[case.kind],
            faults=(BoardFault("air", STEADY_S, 1e9, 1.5),) if case.fault == STEADY else (),
        )
        self.burst_s = chance.uniform(15.0, 60.0)
        self.busy_share = 1.0 if case.fault == STEADY else chance.uniform(0.3, 0.7)
        self.tree = FakeTree(root, case.kind)
        self.make, self.root = make, root

    def show(self, load: float) -> None:
        state = self.board.state()
        said = state.celsius if state.sensor_celsius is None else state.sensor_celsius
        self.tree.show(replace(state, celsius=said), load=load)

    def step(self, look: Callable[[], Readings], *, shown: bool = True) -> Readings:
        """A second of work, a look, a decision."""
        plan = next((one for one in self.plans if self.decision and one.name == self.decision.rung), None)
        comes = self.board.now_s % self.burst_s < self.burst_s * self.busy_share
        rate = self.decision.rate if self.decision and comes else 0.0
        work = self.board.advance(1.0, plan, rate)
        share = min(1.0, work.answered * (work.busy_s or 0.0))
        if shown:
            self.show(share)
        readings = look()
        self.decide(readings, work)
        return readings

    def warm_up(self, seconds: int) -> None:
        """The board's own look needs no files, and is quick. The sensors are found afterwards."""
        for _ in range(seconds):
            self.step(self.board.look, shown=False)
        self.show(0.0)
        self.sensors = self.make(self.case, self.root, lambda: self.board.now_s)

    def decide(self, readings: Readings, work: Work) -> None:
        self.state, self.decision = self.policy.decide(self.state, readings, work, self.board.now_s)

    def safe(self) -> bool:
        """Whether what is to run now holds the limit for ever in the hottest permitted air, by the chip file."""
        decision, model = self.decision, self.model
        assert decision is not None
        if decision.rung is None or decision.rate == 0:
            return True
        plan = next(one for one in self.plans if one.name == decision.rung)
        assert plan.load_watts is not None
        watts = model.idle_watts + plan.load_watts * min(1.0, decision.rate * plan.busy_s)
        resistance = model.at(fan_level(model.fan, self.limit, 0))
        return model.hottest_air_celsius + watts * resistance <= self.limit


def ours(case: Case, root: Path, clock: Callable[[], float]) -> RealSensors:
    """The sensors of this project, told of the chip."""
    return RealSensors(root, clock, silicon=silicon(case.kind))


def silicon(kind: str) -> Silicon:
    """As the chip file has it."""
    name, cooling = BOARDS[kind]
    found = cooling_of(CHIPS[name], cooling)
    assert found is not None
    return silicon_of(plant_of(CHIPS[name], found, 25.0))


def believing(case: Case, root: Path, clock: Callable[[], float]) -> Believer:
    return Believer(root, case.kind, clock)


def honest(hours: int) -> tuple[int, int]:
    """Hours that sensors without a fault were judged for, and looks at which one was called a liar."""
    false, spell = 0, 4
    for seed in range(hours // spell):
        chance = random.Random(f"honest {seed}")
        kind = list(BOARDS)[seed % len(BOARDS)]
        name, cooling = BOARDS[kind]
        power = CHIPS[name].power
        air, steady = chance.uniform(0.0, 35.0), seed // len(BOARDS) % 2
        noise, quantum = chance.choice((0.0, 0.1, 0.25, 0.5)), STEPS[kind]
        board = SimulatedBoard(
            CHIPS[name],
            lambda _, at=air: at,
            cooling=cooling,
            truth=drawn(seed),
            seed=seed,
            noise=noise,
            quantum=quantum,
        )
        plan = RungPlan("one", 0.7, True, 0.1, 0.1, power.load.value - power.idle.value)
        known = silicon(kind) if seed % 3 else Silicon()
        rules, memory, rise, rate, until_s = heat_rules(known), Memory(), Rise(), 0.0, 0.0
        for second in range(spell * 3600):
            if second >= until_s:
                until_s = second + (chance.uniform(600, 7200) if steady else chance.uniform(2, 60))
                rate = chance.choice((0.0, 1.0, 3.0, 6.0, 10.0))
            work = board.advance(1.0, plan, rate)
            load, state = min(1.0, work.answered * (work.busy_s or 0.0)), board.state()
            rise = rise.after(load * state.clock**CLOCK_POWER, 1.0, known)
            said = state.sensor_celsius or 0.0
            memory, fault = judge(memory, said, float(second), rules, driver=rise.kelvin, busy=load >= BUSY)
            rise = rise.seen(said, known)
            false += bool(fault)
    return hours // spell * spell, false
