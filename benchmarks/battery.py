"""A battery that must last: the governor beside rungs at a steady rate, on simulated boards.

    python benchmarks/battery.py                 # five seeds
    python benchmarks/battery.py --seeds 20

Boards, ladders and doubts are those of governor.py; the air is mild (25 C) so that energy, not heat, is what binds. `by
the chip file` is the cheapest certified rung at the steady rate that the published watts allow: what one would work out
on paper. `metered`: a meter tells the board's watts, as an INA3221 or a power-management chip does.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

from governor_days import Case, cases
from shoestring.device.governor import Limits, Policy, RungPlan, Work
from shoestring.device.simulated.board import SimulatedBoard, drawn

AIR = 25.0


@dataclass(frozen=True)
class Mission:
    """What a battery is for."""

    chip: str
    what: str
    battery_wh: float
    hours: float


MISSIONS = (
    Mission("raspberry-pi-4b-4gb", "smart-home camera over night", 30.0, 12.0),
    Mission("raspberry-pi-5-8gb", "drone, its computer's share of the battery", 2.0, 0.4),
    Mission("jetson-nano-4gb", "field robot, a working day", 40.0, 8.0),
)


@dataclass
class Flight:
    """What came of one battery."""

    hours: float
    left_wh: float
    value: float
    moves: int

    def per_wh(self, battery_wh: float) -> float:
        return self.value / (battery_wh - self.left_wh)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    for mission in MISSIONS:
        fly(mission, cases(("resnet",), (mission.chip,))[0], seeds)


def fly(mission: Mission, case: Case, seeds: range) -> None:
    """The table of one mission."""
    wh, hours = mission.battery_wh, mission.hours
    print(f"{case.chip.title}: {mission.what}; {wh:g} Wh for {hours:g} h, {case.wanted:g}/s wanted\n")
    print(
        "| contestant | lasts, h (least to most) | left at the end, Wh | value in all, thousands | value a Wh | moves |"
    )
    print("|---|---|---|---|---|---|")
    for name, metered in (("governor, metered", True), ("governor, no meter", False)):
        show(name, [governed(case, seed, wh, hours, metered) for seed in seeds], wh)
    for plan in (case.cheapest, case.dearest):
        show(f"{plan.name}, as fast as it can", [fixed(case, seed, wh, hours, plan) for seed in seeds], wh)
    rate = paper_rate(case, wh / hours)
    flights = [fixed(case, seed, wh, hours, case.cheapest, rate) for seed in seeds]
    show(f"{case.cheapest.name}, {rate:.3g}/s by the chip file", flights, wh)
    print(flush=True)


def paper_rate(case: Case, mean_watts: float) -> float:
    """Rate of the cheapest certified rung whose published watts are this mean, 1/s."""
    plan = case.cheapest
    return min(case.wanted, max(0.0, mean_watts - case.model.idle_watts) / (plan.busy_s * plan.load_watts))


def board_of(case: Case, seed: int, battery_wh: float, metered: bool) -> SimulatedBoard:
    return SimulatedBoard(
        case.chip, lambda seconds: AIR, cooling=case.cooling, truth=drawn(seed), battery_wh=battery_wh, metered=metered,
        seed=seed,
    )  # fmt: skip


def governed(case: Case, seed: int, battery_wh: float, hours: float, metered: bool) -> Flight:
    board, plans = board_of(case, seed, battery_wh, metered), {plan.name: plan for plan in case.plans}
    limits = Limits(rate=case.wanted, celsius=case.limit, battery_wh=battery_wh, hours=hours)
    policy = Policy(case.plans, limits, case.model)
    state, work, value, moves, readings = policy.start(), Work(), 0.0, [], board.look()
    while board.now_s < hours * 3600 and readings.battery_wh > 0:
        state, decision = policy.decide(state, readings, work, board.now_s)
        if state.course.moves and state.course.moves[-1] == board.now_s:
            moves.append(board.now_s)
        plan = plans.get(decision.rung or "")
        work = board.advance(1.0, plan, decision.rate)
        value += 0.0 if plan is None else plan.quality * work.answered
        readings = board.look()
    return Flight(board.now_s / 3600, board.state().battery_wh, value, len(moves))


def fixed(case: Case, seed: int, battery_wh: float, hours: float, plan: RungPlan, rate: float | None = None) -> Flight:
    board, value = board_of(case, seed, battery_wh, False), 0.0
    while board.now_s < hours * 3600 and board.state().battery_wh > 0:
        value += plan.quality * board.advance(5.0, plan, case.wanted if rate is None else rate).answered
    return Flight(board.now_s / 3600, board.state().battery_wh, value, 0)


def show(name: str, flights: list[Flight], battery_wh: float) -> None:
    lasts = [one.hours for one in flights]
    left = [one.left_wh for one in flights]
    value = statistics.median(one.value for one in flights)
    per_wh = statistics.median(one.per_wh(battery_wh) for one in flights)
    moves = max(one.moves for one in flights)
    lasted = f"{statistics.median(lasts):.2f} ({min(lasts):.2f}-{max(lasts):.2f})"
    print(f"| {name} | {lasted} | {min(left):.2f}-{max(left):.2f} | {value / 1000:.1f} | {per_wh:.0f} | {moves} |")


if __name__ == "__main__":
    main()
