"""Which rungs may run now, and why the others may not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.device.governor.choice import Option
from shoestring.device.governor.state import Hold

if TYPE_CHECKING:
    from shoestring.device.governor.nouns import Limits, RungPlan, Work
    from shoestring.device.governor.state import State
    from shoestring.device.sensors.readings import Readings

FAILED_S, MEMORY_S, LATE_S, NO_EFFECT_S = 30.0, 120.0, 60.0, 120.0
MOST_BACKOFF_S = 3600.0
FORGET_S = 3600.0
"""A hold that has been over for so long starts again from its shortest."""
SETTLE_S = 10.0
"""After a move, free memory is given so long to show it."""
LATE_ENOUGH = 3
"""Decisions in a row that must have found late answers: one slow frame is no reason."""
LEARN_S = 20.0
"""Time constant with which the time of an example is learnt, s."""
MOST_STRETCH = 20.0
"""A measured time is believed up to so many times the planned one, and down to its inverse."""


def held(holds: tuple[Hold, ...], rung: str, now_s: float) -> str | None:
    """Why that rung is left alone now, or None."""
    for hold in holds:
        if hold.rung == rung and now_s < hold.until_s:
            return hold.why
    return None


def hold(holds: tuple[Hold, ...], rung: str, why: str, now_s: float, first_s: float) -> tuple[Hold, ...]:
    """With that rung left alone from now on, twice as long as the last time."""
    before = next((one for one in holds if one.rung == rung), None)
    backoff = first_s
    if before is not None and before.why == why and now_s < before.until_s + FORGET_S:
        backoff = min(2 * before.backoff_s, MOST_BACKOFF_S)
    kept = tuple(one for one in holds if one.rung != rung and now_s < one.until_s + FORGET_S)
    return (*kept, Hold(rung, now_s + backoff, backoff, why))


def learnt_busy(
    plans: tuple[RungPlan, ...], state: State, work: Work, clock: float, seconds: float
) -> tuple[float, ...]:
    """Times of an example at full clock, after what the rung that ran has shown."""
    if work.busy_s is None or work.answered <= 0 or not work.busy_s > 0:
        return state.busy_s
    share = min(1.0, seconds / LEARN_S)
    found = list(state.busy_s)
    for i, plan in enumerate(plans):
        if plan.name == state.course.rung:
            seen = min(max(work.busy_s * clock, plan.busy_s / MOST_STRETCH), plan.busy_s * MOST_STRETCH)
            found[i] += share * (seen - found[i])
    return tuple(found)


def new_holds(
    plans: tuple[RungPlan, ...], state: State, readings: Readings, work: Work, limits: Limits, now_s: float
) -> State:
    """After what failed, what was late, and what memory is left."""
    holds, course = state.holds, state.course
    for name, times in work.failed:
        if times > 0:
            holds = hold(holds, name, "failed", now_s, FAILED_S)
    late = 0
    if limits.deadline_s is not None and work.slow_s is not None and work.slow_s > limits.deadline_s:
        late = course.late + 1
    if late >= LATE_ENOUGH and course.rung is not None and limits.pinned is None:
        if _cheaper(plans, state, holds, now_s):
            holds = hold(holds, course.rung, "deadline", now_s, LATE_S)
        late = 0
    free = readings.memory_free_bytes
    settled = course.changed_s is None or now_s - course.changed_s >= SETTLE_S
    if free is not None and free < limits.memory_spare_bytes and settled and limits.pinned is None:
        holds = _short_of_memory(plans, state, holds, now_s)
    if holds is state.holds and late == course.late:
        return state
    return replace(state, holds=holds, course=replace(course, late=late))


def options(
    plans: tuple[RungPlan, ...],
    state: State,
    limits: Limits,
    loads: tuple[float, ...],
    clock: float,
    now_s: float,
    certified: bool,
) -> tuple[list[Option], bool]:
    """The rungs that may run now.

    Args:
        loads: watts above idle of each rung.
        certified: leave out those below the proven floor.

    Returns:
        They, and whether they keep the deadline. Where no rung does, the fastest is all that is left.
    """
    able: list[tuple[float, Option]] = []
    for i, plan in enumerate(plans):
        if limits.pinned is not None and plan.name != limits.pinned:
            continue
        if (certified and not plan.certified) or held(state.holds, plan.name, now_s) is not None:
            continue
        if limits.memory_bytes is not None and limits.pinned is None and (plan.memory_bytes or 0) > limits.memory_bytes:
            continue
        slowest = plan.busy_high_s * max(1.0, state.busy_s[i] / plan.busy_s) / clock
        able.append((slowest, Option(plan.name, plan.quality, state.busy_s[i], loads[i])))
    if limits.deadline_s is None or not able:
        return [option for _, option in able], True
    kept = [option for slowest, option in able if slowest <= limits.deadline_s]
    return (kept, True) if kept else ([min(able, key=lambda one: one[0])[1]], False)


def _cheaper(plans: tuple[RungPlan, ...], state: State, holds: tuple[Hold, ...], now_s: float) -> bool:
    """Whether a certified rung with less time to an example is free."""
    times = dict(zip((plan.name for plan in plans), state.busy_s, strict=True))
    mine = times[state.course.rung or ""]
    return any(plan.certified and times[plan.name] < mine and not held(holds, plan.name, now_s) for plan in plans)


def _short_of_memory(
    plans: tuple[RungPlan, ...], state: State, holds: tuple[Hold, ...], now_s: float
) -> tuple[Hold, ...]:
    """Leave alone every rung that takes as much as the one that runs, where one takes less."""
    mine = next((plan.memory_bytes for plan in plans if plan.name == state.course.rung), None)
    if mine is None:
        return holds
    less = [plan for plan in plans if plan.memory_bytes is not None and plan.memory_bytes < mine and plan.certified]
    if not any(held(holds, plan.name, now_s) is None for plan in less):
        return holds
    for plan in plans:
        if (plan.memory_bytes or mine) >= mine and held(holds, plan.name, now_s) is None:
            holds = hold(holds, plan.name, "memory", now_s, MEMORY_S)
    return holds
