"""The policy: state, readings, work and clock in; rung, rate and reason out. It reads nothing and waits for nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.device.governor import allowed, caps, moves, outlook, power, thermal
from shoestring.device.governor.checks import check
from shoestring.device.governor.choice import REST, Option, Pick, best, capacity, floored, worth
from shoestring.device.governor.nouns import Decision, Limits, RungPlan, Work
from shoestring.device.governor.slope import Slope
from shoestring.device.governor.state import Energy, State
from shoestring.device.sensors.sysfs import COLDEST, HOTTEST

if TYPE_CHECKING:
    from shoestring.device.governor.caps import Cap, Numbers
    from shoestring.device.governor.model import BoardModel
    from shoestring.device.governor.state import Course
    from shoestring.device.sensors.readings import Readings

REASONS = (
    "start", "steady", "heat", "fan", "assume hot", "watts", "battery", "under-voltage", "memory", "deadline", "failed",
    "busy", "limits", "climb", "no effect",
)  # fmt: skip
"""`steady`: nothing changes. `limits`: the rung that ran is none of those that may run, or more than asked for."""
SHORTEST_S, LONGEST_S = 1e-3, 600.0
"""Time between two decisions as the observers take it: a clock that stood still, a board that slept."""
ACHIEVED_S, ACHIEVED_EXAMPLES = 10.0, 5.0
CROWDED = 1.1
"""More work than the engine can do by this factor is asked: another rung, or less of it."""
FORECAST_S = 60.0


@dataclass(frozen=True)
class Situation:
    """What one decision looks at.

    Args:
        now_s, seconds: the clock, and since the last decision.
        celsius: a reading to be believed, or None.
        clock: share of the full clock, above zero.
        binding: the limit that leaves least, or None where there is none.
        options: rungs that may run.
        numbers: found on the way.
    """

    now_s: float
    seconds: float
    celsius: float | None
    clock: float
    binding: Cap | None
    options: tuple[Option, ...]
    numbers: Numbers


class Policy:
    """Picks the rung and the rate.

    Args:
        plans: rungs that the device has, in any order, names unlike.
        limits: what the operator asks for.
        board: its thermal model; None where nobody knows one.

    Raises:
        UsageError: no plans, two of one name, an unknown or uncertified pinned rung, a figure out of range.
    """

    def __init__(self, plans: tuple[RungPlan, ...], limits: Limits, board: BoardModel | None) -> None:
        check(plans, limits)
        self.plans, self.limits, self.board = plans, limits, board
        known = [plan.load_watts for plan in plans if plan.load_watts is not None]
        if board is not None:
            known.append(board.load_watts - board.idle_watts)
        self._loads = tuple(max(known, default=1.0) if plan.load_watts is None else plan.load_watts for plan in plans)
        self._of = {plan.name: i for i, plan in enumerate(plans)}
        self._moments = () if board is None else outlook.steps(board)
        sure = [i for i, plan in enumerate(plans) if plan.certified or limits.allow_degraded]
        if limits.pinned is not None:
            sure = [self._of[limits.pinned]]
        if not sure:
            raise UsageError("no rung is certified", hint="--allow-degraded runs rungs below the proven floor")
        self._cheapest = min(self._loads[i] for i in sure)
        self._most = max(self._loads[i] for i in sure)

    def start(self) -> State:
        """Before the first decision."""
        return State(busy_s=tuple(plan.busy_s for plan in self.plans))

    def decide(self, state: State, readings: Readings, work: Work, now_s: float) -> tuple[State, Decision]:
        """One decision.

        Args:
            state: what the last one returned, or `start()`.
            readings: of the board, now.
            work: since the last decision.
            now_s: monotonic clock, s. Decisions may be any time apart; a second is what margins are made for.

        Returns:
            State for the next decision, and what to run until then.
        """
        state, celsius, seconds, clock = self._learn(state, readings, work, now_s)
        state = allowed.new_holds(self.plans, state, readings, work, self.limits, now_s)
        binding, numbers = self._binding(state, readings, celsius, now_s)
        may, numbers["deadline_kept"] = self._options(state, binding, clock, now_s)
        here = Situation(now_s, seconds, celsius, clock, binding, tuple(may), numbers)
        course, reason = self._next(state, here)
        moved = (course.rung, course.rate) != (state.course.rung, state.course.rate)
        if course is not state.course or state.at_s != now_s:
            state = _later(state, course, now_s)
        running = course.rung if course.rate > 0 else None
        decision = Decision(now_s, running, course.rate, reason, moved, self._numbers(state, here, moved))
        return state, decision

    def _learn(
        self, state: State, readings: Readings, work: Work, now_s: float
    ) -> tuple[State, float | None, float, float]:
        """Bring the observers up to now."""
        first = state.at_s is None
        seconds = 1.0 if state.at_s is None else min(max(now_s - state.at_s, SHORTEST_S), LONGEST_S)
        celsius, clock = _believed(readings), _clock(readings)
        course = state.course
        done = 0.0
        if course.rung is not None and work.busy_s is not None and work.answered > 0:
            done = self._loads[self._of[course.rung]] * work.answered * work.busy_s / seconds * clock**2
        heat, slope = state.heat, state.slope
        if self.board is not None:
            if heat is None:
                heat = thermal.first_heat(self.board, celsius)
            else:
                heat = thermal.observe(self.board, heat, self.board.idle_watts + done, seconds, celsius)
        elif celsius is not None:
            slope = Slope(celsius, 0.0) if slope is None else slope.seen(celsius, seconds)
        watts = readings.watts if readings.watts is not None and 0 < readings.watts < 1e4 else None
        quality = 0.0 if course.rung is None else self.plans[self._of[course.rung]].quality
        span = max(ACHIEVED_S, ACHIEVED_EXAMPLES / course.rate) if course.rate > 0 else ACHIEVED_S
        achieved = state.achieved + seconds / (seconds + span) * (quality * work.answered / seconds - state.achieved)
        state = State(
            busy_s=allowed.learnt_busy(self.plans, state, work, clock, seconds),
            started_s=now_s if first else state.started_s,
            course=moves.recent(course, now_s),
            energy=self._energy(state, readings, watts, done, seconds, now_s),
            heat=heat,
            slope=slope,
            achieved=achieved,
            at_s=state.at_s,
            holds=state.holds,
        )
        return state, celsius, seconds, clock

    def _energy(
        self, state: State, readings: Readings, watts: float | None, done: float, seconds: float, now_s: float
    ) -> Energy:
        energy = power.learnt_watts(state.energy, self.board, watts, done, 0.0 if state.at_s is None else seconds)
        supply = power.supply_after(energy.supply, readings.under_voltage, self._asked(state), now_s)
        return energy if supply is energy.supply else replace(energy, supply=supply)

    def _asked(self, state: State) -> float:
        """Watts above idle at full clock that are asked for now."""
        course = state.course
        if course.rung is None:
            return 0.0
        i = self._of[course.rung]
        return self._loads[i] * min(1.0, course.rate * state.busy_s[i])

    def _binding(
        self, state: State, readings: Readings, celsius: float | None, now_s: float
    ) -> tuple[Cap | None, Numbers]:
        """The limit that leaves the fewest watts."""
        load = (self._asked(state), self._cheapest, self._most)
        heat, numbers = caps.heat_cap(self.board, self._moments, state, readings, celsius, load, self.limits, now_s)
        supply = state.energy.supply
        found = [
            heat,
            power.watts_cap(state, self.limits, self._cheapest),
            power.battery_cap(state, readings, self.limits, now_s),
            None if supply is None else caps.Cap("under-voltage", supply.watts, supply.watts * 1.001),
        ]
        there = [cap for cap in found if cap is not None]
        if not there:
            return None, numbers
        least = min(there, key=lambda cap: cap.watts)
        most = min(there, key=lambda cap: cap.most_watts)
        binding = most if self._asked(state) > most.most_watts else least
        return caps.Cap(binding.reason, least.watts, most.most_watts), numbers

    def _options(self, state: State, binding: Cap | None, clock: float, now_s: float) -> tuple[list[Option], bool]:
        """Certified rungs; those below the floor join them where no certified one gets anywhere and it is allowed."""
        may, kept = allowed.options(self.plans, state, self.limits, self._loads, clock, now_s, True)
        if not self.limits.allow_degraded:
            return may, kept
        watts = math.inf if binding is None else binding.watts
        pick = best(may, watts, self.limits, clock, state.course.rung)
        if kept and pick.rate > 0 and pick.rate >= min(self.limits.least_rate, self.limits.rate):
            return may, kept
        return allowed.options(self.plans, state, self.limits, self._loads, clock, now_s, False)

    def _next(self, state: State, here: Situation) -> tuple[Course, str]:
        """Where to go from here, and why."""
        course, now_s, binding = state.course, here.now_s, here.binding
        watts = math.inf if binding is None else binding.watts
        pick = best(here.options, watts, self.limits, here.clock, course.rung)
        if course.changed_s is None:
            return moves.moved_to(course, pick, now_s), "start"
        if course.rung is not None:
            running = next((one for one in here.options if one.name == course.rung), None)
            if running is None:
                why = allowed.held(state.holds, course.rung, now_s) or ("limits" if here.options else "failed")
                return moves.undone(moves.moved_to(course, pick, now_s), now_s), why
            if binding is not None and self._asked(state) > binding.most_watts:
                return self._drop(state, here, binding), binding.reason
            if course.rate > CROWDED * capacity(running, self.limits, here.clock) and pick.name is not None:
                return moves.moved_to(course, pick, now_s), "busy"
        trial = course.trial
        if trial is not None and now_s >= trial.due_s:
            if state.achieved - trial.achieved < moves.EFFECT * trial.expected:
                return self._give_up(state, here), "no effect"
            course = replace(course, trial=None)
        value = self._value(course)
        blind = here.celsius is None and self.limits.celsius is not None
        taken = None if blind else moves.may_climb(course, pick, value, self._used(state, course), now_s)
        if taken is None:
            return course, "steady"
        after = moves.moved_to(course, taken, now_s)
        return moves.climbed(course, after, state.achieved, taken.value - value, now_s), "climb"

    def _drop(self, state: State, here: Situation, binding: Cap) -> Course:
        """Down at once to what is aimed at, or deeper where there were many moves."""
        course = state.course
        pick = best(here.options, binding.watts, self.limits, here.clock, course.rung)
        if moves.counted(course, pick.name, floored(pick.rate)):
            pick = best(here.options, binding.watts * moves.deeper(course), self.limits, here.clock, course.rung)
            course = moves.undone(course, here.now_s)
        if pick.name == course.rung and pick.rate > course.rate:
            return course
        return moves.moved_to(course, pick, here.now_s)

    def _give_up(self, state: State, here: Situation) -> Course:
        """Back to before a climb that brought nothing; it waits the longer the more often that happened."""
        course, trial = state.course, state.course.trial
        assert trial is not None
        back = next((one for one in here.options if one.name == trial.rung), None)
        pick = REST
        if back is not None:
            rate = min(trial.rate, course.rate if trial.rung == course.rung else trial.rate)
            pick = Pick(back.name, rate, 0.0, 0.0)
        backoff = min(max(moves.BACKOFF_S, 2 * course.climb_backoff_s), moves.MOST_BACKOFF_S)
        after, until = moves.moved_to(course, pick, here.now_s), here.now_s + backoff
        return replace(
            after, trial=None, climbed_s=None, climb_from_s=until, trim_from_s=until, climb_backoff_s=backoff
        )

    def _used(self, state: State, course: Course) -> float:
        """Of `_value`, what the last seconds had: without what a rate below the least one takes off."""
        if course.rung is None or course.rate <= 0:
            return 0.0
        quality = self.plans[self._of[course.rung]].quality
        return self._value(course) * state.achieved / max(quality * course.rate, 1e-12)

    def _value(self, course: Course) -> float:
        if course.rung is None:
            return 0.0
        return worth(self.plans[self._of[course.rung]].quality, course.rate, self.limits.least_rate)

    def _numbers(self, state: State, here: Situation, moved: bool) -> Numbers:
        """What the decision rests on; of a move also what is foretold of it."""
        course, binding = state.course, here.binding
        numbers = here.numbers
        numbers["celsius"] = here.celsius
        numbers["limit_celsius"] = self.limits.celsius
        numbers["clock"] = here.clock
        numbers["watts_asked"] = self._asked(state)
        if binding is not None:
            numbers["binding"] = binding.reason
            numbers["watts_allowed"] = binding.watts
        numbers["value"] = self._value(course)
        numbers["moves_last_hour"] = float(len(course.moves))
        if moved and self.board is not None and state.heat is not None:
            watts = self.board.idle_watts + self._asked(state)
            numbers["forecast_celsius"] = outlook.forecast(self.board, state.heat, watts, FORECAST_S)
            numbers["forecast_in_s"] = FORECAST_S
        return numbers


def _later(state: State, course: Course, now_s: float) -> State:
    """After the decision; `dataclasses.replace` would take a tenth of the time of one."""
    return State(
        state.busy_s, now_s, state.started_s, course, state.energy, state.heat, state.slope, state.achieved, state.holds
    )


def _believed(readings: Readings) -> float | None:
    """The temperature, unless it cannot be one."""
    celsius = readings.celsius
    if celsius is None or not COLDEST < celsius < HOTTEST or any(one.sensor == "celsius" for one in readings.faults):
        return None
    return celsius


def _clock(readings: Readings) -> float:
    """Share of the full clock; a board that does not say has all of it."""
    clock = readings.clock
    return 1.0 if clock is None or not 0 < clock <= 1 else clock


__all__ = ["REASONS", "Policy", "Work"]
