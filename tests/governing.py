"""A policy on a simulated board, and the rules that its run must keep, as checks that a broken policy fails."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shoestring.chips.loading import catalogue
from shoestring.device.governor import BoardModel, Decision, Limits, Policy, RungPlan, State, Work, board_model, outlook
from shoestring.device.sensors.readings import Readings
from shoestring.device.simulated.board import SimulatedBoard, drawn

COOLING = {
    "raspberry-pi-4b-4gb": "bare",
    "raspberry-pi-5-8gb": "fan",
    "jetson-nano-4gb": "heatsink",
    "coral-dev-board": "heatsink",
}


def model_of(chip: str) -> BoardModel:
    model = board_model(catalogue()[chip], COOLING[chip])
    assert model is not None
    return model


def ladder(load_watts: float | None = 3.4, scale: float = 1.0) -> tuple[RungPlan, ...]:
    """Three certified rungs and one that is not, the dearest first."""
    return (
        RungPlan("dear", 0.76, True, 0.25 * scale, 0.28 * scale, load_watts, 120 << 20),
        RungPlan("middle", 0.75, True, 0.12 * scale, 0.14 * scale, load_watts, 60 << 20),
        RungPlan("cheap", 0.74, True, 0.05 * scale, 0.06 * scale, load_watts, 30 << 20),
        RungPlan("degraded", 0.60, False, 0.02 * scale, 0.03 * scale, load_watts, 10 << 20),
    )


@dataclass(frozen=True)
class Seen:
    """One decision with what was before it and what came of it."""

    before: State
    readings: Readings
    work: Work
    decision: Decision
    after: State
    celsius: float


def board(chip: str, seed: int = 0, air=35.0, **more) -> SimulatedBoard:
    """One of the series; `air` is a temperature or a function of seconds."""
    ambient = air if callable(air) else lambda seconds: air
    truth = more.pop("truth", drawn(seed))
    return SimulatedBoard(catalogue()[chip], ambient, cooling=COOLING[chip], truth=truth, seed=seed, **more)


def drive(
    policy: Policy, on: SimulatedBoard, seconds: float, every_s: float = 1.0, changed=None, supply: float = 1e9
) -> list[Seen]:
    """Let the policy govern the board.

    Args:
        changed: makes the readings and the work that the policy gets from those that there are.
        supply: examples a second that come in at most.
    """
    plans = {plan.name: plan for plan in policy.plans}
    state, work, seen = policy.start(), Work(), []
    until = on.now_s + seconds
    while on.now_s < until:
        readings = on.look()
        if changed is not None:
            readings, work = changed(readings, work)
        before = state
        state, decision = policy.decide(state, readings, work, on.now_s)
        given = work
        work = on.advance(every_s, plans.get(decision.rung or ""), min(decision.rate, supply))
        seen.append(Seen(before, readings, given, decision, state, on.celsius))
    return seen


def watts_of(policy: Policy, decision: Decision, state: State) -> float:
    """Watts above idle that a decision asks for."""
    names = [plan.name for plan in policy.plans]
    if decision.rung is None:
        return 0.0
    i = names.index(decision.rung)
    load = policy.plans[i].load_watts
    assert load is not None
    return load * min(1.0, decision.rate * state.busy_s[i])


def sound(policy: Policy, seen: list[Seen]) -> list[str]:
    """What holds for every decision, whatever happens."""
    limits, certified = policy.limits, {plan.name for plan in policy.plans if plan.certified}
    wrong = []
    for one in seen:
        rung, rate = one.decision.rung, one.decision.rate
        if rung is not None and rung not in certified and not limits.allow_degraded:
            wrong.append(f"{rung} is not certified")
        if limits.pinned is not None and rung not in (None, limits.pinned):
            wrong.append(f"{rung} runs, {limits.pinned} is pinned")
        if not 0 <= rate <= limits.rate or (rate > 0) != (rung is not None):
            wrong.append(f"{rung} at {rate}")
        for name, value in one.decision.numbers.items():
            if isinstance(value, float) and not math.isfinite(value):
                wrong.append(f"{name} is {value}")
    return wrong


def climbs_without_room(policy: Policy, seen: list[Seen]) -> list[str]:
    """Rises of the load whose own forecast, with the constants as they were learnt, goes over the limit."""
    assert policy.board is not None and policy.limits.celsius is not None
    moments, wrong = outlook.steps(policy.board), []
    for one in seen:
        if not one.decision.moved or one.after.heat is None:
            continue
        watts, before = (watts_of(policy, which, one.after) for which in (one.decision, _as_decision(one.before)))
        if watts <= before:
            continue
        above = outlook.ceiling(
            policy.board, moments, one.after.heat, policy.board.idle_watts + watts, policy.limits.celsius
        )
        if above.celsius > policy.limits.celsius:
            wrong.append(f"at {one.decision.at_s:.0f} s to {watts:.2f} W: {above.celsius:.1f} C")
    return wrong


def _as_decision(state: State) -> Decision:
    return Decision(0.0, state.course.rung, state.course.rate, "", False)


def excursions(seen: list[Seen], limit: float, longest_s: float = 10.0, highest_k: float = 2.0) -> list[str]:
    """Times above the limit that are too long or too high."""
    over, wrong, since = 0.0, [], seen[0].decision.at_s
    for one in seen:
        if one.celsius <= limit:
            over, since = 0.0, one.decision.at_s
            continue
        over = one.decision.at_s - since
        if over > longest_s or one.celsius > limit + highest_k:
            wrong.append(f"at {one.decision.at_s:.0f} s {one.celsius:.2f} C for {over:.0f} s")
    return wrong


def counted(seen: list[Seen]) -> list[float]:
    """Times of the moves: of the rung, or of the rate by more than a tenth since the last one."""
    mark: tuple[str | None, float] = (None, 0.0)
    found = []
    for one in seen:
        rung, rate = one.decision.rung, one.decision.rate
        if rung != mark[0] or abs(rate - mark[1]) > 0.1 * mark[1]:
            mark = (rung, rate)
            found.append(one.decision.at_s)
    return found


def busiest_hour(seen: list[Seen]) -> int:
    """Most moves within sixty minutes."""
    moves = counted(seen)
    return max(sum(at <= one < at + 3600 for one in moves) for at in moves)


def blind_and_hot(policy: Policy, seen: list[Seen]) -> list[str]:
    """Decisions without a believable temperature that ask for more than holds in the hottest air."""
    board_, limit = policy.board, policy.limits.celsius
    assert board_ is not None and limit is not None
    wrong = []
    for one in seen:
        if one.readings.celsius is not None and not one.readings.faults:
            continue
        watts = board_.idle_watts + watts_of(policy, one.decision, one.after)
        resistance = min([board_.resistance, *(kelvin for _, kelvin in board_.fan)])
        if board_.hottest_air_celsius + watts * resistance > limit and one.decision.rung is not None:
            wrong.append(f"at {one.decision.at_s:.0f} s {watts:.2f} W")
    return wrong


__all__ = [
    "Limits",
    "Seen",
    "blind_and_hot",
    "board",
    "busiest_hour",
    "climbs_without_room",
    "counted",
    "drive",
    "excursions",
    "ladder",
    "model_of",
    "sound",
    "watts_of",
]
