"""Who runs a simulated day: our policy, the kernel's throttling, and the best fixed load that hindsight can choose."""

from __future__ import annotations

from dataclasses import dataclass, field

from governor_days import Case, Day
from shoestring.device.governor import Limits, Policy, RungPlan, Work
from shoestring.device.simulated.board import SimulatedBoard, true_plant
from shoestring.device.simulated.faults import during
from shoestring.domain.heat.simulate import fan_level

EVERY_S = 1.0
KERNEL_EVERY_S = 5.0
"""Its excursions are looked for in such steps; its clock moves once a second all the same."""
FIXED_STEP_S = 2.0
COUNTED = 0.10


@dataclass
class Run:
    """What came of a day.

    Args:
        value: certified quality x examples a second, mean of the day.
        longest_s, highest_k: of the excursions above the limit.
        over_share: share of the day above it.
        moves: counted ones: of the rung, or of the rate by more than a tenth since the last one.
        worst_hour: most of them within sixty minutes.
    """

    value: float = 0.0
    longest_s: float = 0.0
    highest_k: float = 0.0
    over_share: float = 0.0
    moves: list[float] = field(default_factory=list)
    worst_hour: int = 0


class Watch:
    """Excursions above a limit."""

    def __init__(self, limit: float) -> None:
        self.limit, self.over_s, self.longest_s, self.highest_k, self.all_s = limit, 0.0, 0.0, 0.0, 0.0

    def see(self, celsius: float, seconds: float) -> None:
        if celsius <= self.limit:
            self.over_s = 0.0
            return
        self.over_s += seconds
        self.all_s += seconds
        self.longest_s = max(self.longest_s, self.over_s)
        self.highest_k = max(self.highest_k, celsius - self.limit)


def board_of(case: Case, day: Day) -> SimulatedBoard:
    return SimulatedBoard(
        case.chip, day.ambient, cooling=case.cooling, truth=day.truth, faults=day.faults, throttle_at=case.limit,
        seed=day.seed,
    )  # fmt: skip


def governed(case: Case, day: Day, hours: float) -> Run:
    """Our policy, asked once a second."""
    board, plans = board_of(case, day), {plan.name: plan for plan in case.plans}
    policy = Policy(case.plans, Limits(rate=case.wanted, celsius=case.limit), case.model)
    state, work, watch, run = policy.start(), Work(), Watch(case.limit), Run()
    mark: tuple[str | None, float] = (None, 0.0)
    while board.now_s < hours * 3600:
        state, decision = policy.decide(state, board.look(), work, board.now_s)
        if decision.moved:
            rung, rate = mark
            if decision.rung != rung or abs(decision.rate - rate) > COUNTED * rate:
                mark = (decision.rung, decision.rate)
                run.moves.append(board.now_s)
        plan = plans.get(decision.rung or "")
        work = board.advance(EVERY_S, plan, decision.rate)
        watch.see(board.celsius, EVERY_S)
        if plan is not None and plan.certified:
            run.value += plan.quality * work.answered
    return closed(run, watch, hours)


def throttled(case: Case, day: Day, hours: float, plan: RungPlan) -> Run:
    """One rung at the full rate, and the kernel's throttling against the heat."""
    board, watch, run = board_of(case, day), Watch(case.limit), Run()
    while board.now_s < hours * 3600:
        work = board.advance(KERNEL_EVERY_S, plan, case.wanted)
        watch.see(board.celsius, KERNEL_EVERY_S)
        run.value += plan.quality * work.answered
    return closed(run, watch, hours)


def closed(run: Run, watch: Watch, hours: float) -> Run:
    run.value /= hours * 3600
    run.longest_s, run.highest_k, run.over_share = watch.longest_s, watch.highest_k, watch.all_s / (hours * 3600)
    run.worst_hour = max((sum(at < one <= at + 3600 for one in run.moves) for at in [-1.0, *run.moves]), default=0)
    return run


def fixed(case: Case, day: Day, hours: float) -> tuple[float, str, float]:
    """The certified rung and the rate that did most on this very day without one excursion.

    Heat knows only watts, so the most of them above idle that never lead over the limit are found by bisection; each
    rung then runs as fast as they let it.

    Returns:
        Quality x rate, rung and rate.
    """
    truth = day.truth
    load = {plan.name: plan.load_watts * truth.load for plan in case.plans}
    low, high = 0.0, max(load.values())
    if hottest(case, day, hours, high) <= case.limit:
        low = high
    while high - low > 0.005 * max(load.values()):
        middle = (low + high) / 2
        if hottest(case, day, hours, middle) <= case.limit:
            low = middle
        else:
            high = middle
    found = (0.0, "none", 0.0)
    for plan in case.plans:
        busy_s = plan.busy_s * truth.busy
        rate = min(case.wanted, 1 / busy_s, low / (busy_s * load[plan.name]))
        if plan.certified:
            found = max(found, (plan.quality * rate, plan.name, rate))
    return found


def hottest(case: Case, day: Day, hours: float, watts: float, stop: bool = True) -> float:
    """Highest temperature of the day with these steady watts above idle; `stop`: once it is above the limit."""
    plant = true_plant(case.chip, case.cooling, day.truth, case.limit)
    total, poles = plant.idle_watts + watts, plant.poles
    left = poles.left(FIXED_STEP_S)
    parts = poles.rest(plant.idle_watts * plant.resistance)
    celsius = most = day.ambient(0.0) + sum(parts)
    level, at = fan_level(plant.fan, celsius, 0), 0.0
    while at < hours * 3600 and not (stop and most > case.limit):
        level = fan_level(plant.fan, celsius, level) if plant.fan else 0
        turning = level and not during(day.faults, "fan", at)
        kelvin = total * (plant.fan[level - 1][1] if turning else plant.resistance)
        covered = during(day.faults, "air", at)
        slow = poles.stepped(parts, kelvin * covered.value, left)[0] if covered else None
        parts = poles.stepped(parts, kelvin, left)
        if slow is not None:
            parts = slow, parts[1]
        at += FIXED_STEP_S
        celsius = day.ambient(at) + parts[0] + parts[1]
        most = max(most, celsius)
    return most
