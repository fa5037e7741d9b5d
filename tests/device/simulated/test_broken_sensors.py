"""Board, tree, real sensors and governor together: a broken thermal sensor ends on a safe rung at the next decision."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shoestring.chips.loading import catalogue
from shoestring.device.governor import Limits, Policy, RungPlan, board_model
from shoestring.device.sensors import Readings, RealSensors, silicon_of
from shoestring.device.sensors.source import GarbledError, milli_of
from shoestring.device.simulated.board import SimulatedBoard
from shoestring.device.simulated.tree import FakeTree
from shoestring.domain.heat.plant import cooling_of, plant_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shoestring.device.sensors import Sensors

BOARDS = {"raspberry-pi-4": ("raspberry-pi-4b-4gb", "bare", 76.0), "jetson-nano": ("jetson-nano-4gb", "heatsink", 60.0)}
FAULTS = ("gone", "garbage", "denied", "-256000", "-89000", "1000000000", "0")


class KeepsTheLast:
    """What sensors must not be: what cannot be read, or is a bare 0, is taken for what it was before."""

    def __init__(self, root: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock, self._last = root / "sys/class/thermal/thermal_zone0/temp", clock, 40.0

    def look(self) -> Readings:
        try:
            said = milli_of(self._path)
            self._last = said if 0 < said < 150 else self._last
        except (OSError, GarbledError):
            pass
        return Readings(self._clock(), celsius=self._last)

    def close(self) -> None:
        pass


def steady_celsius_after(
    root: Path, kind: str, fault: str, make: Callable[[Path, Callable[[], float]], Sensors]
) -> float:
    """What the decision after the fault makes of the chip for ever, in the hottest permitted air, by the chip file."""
    name, cooling, limit = BOARDS[kind]
    chip = catalogue()[name]
    model = board_model(chip, cooling)
    assert model is not None
    plan = RungPlan("only", 0.75, True, 0.1, 0.11, model.load_watts - model.idle_watts)
    policy = Policy((plan,), Limits(rate=10.0, celsius=limit), model)
    state, decision = policy.start(), None
    board = SimulatedBoard(chip, lambda _: 15.0, cooling=cooling, seed=1)
    tree = FakeTree(root, kind)

    def show(load: float) -> None:
        now = board.state()
        tree.show(replace(now, celsius=now.sensor_celsius), load=load)

    show(0.0)
    sensors = make(root, lambda: board.now_s)
    for second in range(61):
        rate = 0.0 if decision is None else decision.rate
        work = board.advance(1.0, plan, rate)
        if second == 60:
            assert model.hottest_air_celsius + steady(model, plan, rate) > limit  # it ran what the cool air allows
            tree.spoil("celsius", fault)
        show(min(1.0, work.answered * (work.busy_s or 0.0)))
        state, decision = policy.decide(state, sensors.look(), work, board.now_s)
    sensors.close()
    assert decision is not None
    return model.hottest_air_celsius + steady(model, plan, decision.rate) - limit


def steady(model: object, plan: RungPlan, rate: float) -> float:
    """Rise over the air, K."""
    watts = model.idle_watts + plan.load_watts * min(1.0, rate * plan.busy_s)  # type: ignore[attr-defined, operator]
    return watts * model.resistance  # type: ignore[attr-defined]


def real(kind: str) -> Callable[[Path, Callable[[], float]], Sensors]:
    name, cooling, _ = BOARDS[kind]
    chip = catalogue()[name]
    found = cooling_of(chip, cooling)
    assert found is not None
    return lambda root, clock: RealSensors(root, clock, silicon=silicon_of(plant_of(chip, found, 25.0)))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", BOARDS)
def test_the_next_decision_is_safe(tmp_path: Path, kind: str, fault: str) -> None:
    assert steady_celsius_after(tmp_path, kind, fault, real(kind)) <= 0


@pytest.mark.parametrize("fault", FAULTS)
def test_sensors_that_keep_the_last_value_are_caught(tmp_path: Path, fault: str) -> None:
    assert steady_celsius_after(tmp_path, "raspberry-pi-4", fault, KeepsTheLast) > 0
