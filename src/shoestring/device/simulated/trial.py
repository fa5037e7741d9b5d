"""The governor on a simulated board, for as long as one likes: what a bundle would do before it hangs on a wall."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.device.governor.moves import COUNTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.governor.nouns import Decision, RungPlan, Work
    from shoestring.device.governor.policy import Policy
    from shoestring.device.governor.state import State
    from shoestring.device.sensors.readings import Readings
    from shoestring.device.simulated.board import SimulatedBoard

STEP_S = 1.0


@dataclass(frozen=True)
class Moment:
    """One step.

    Args:
        seconds: since the start.
        celsius: of the chip, in truth.
        watts: of the board, in truth.
        clock: share of the full one.
        rung: that ran; None: it rested.
        answered: examples in this step.
        battery_wh: left; None without a battery.
    """

    seconds: float
    celsius: float
    watts: float
    clock: float
    rung: str | None
    answered: int
    battery_wh: float | None


@dataclass(frozen=True)
class Trial:
    """What came of it.

    Args:
        moments: one a step; an empty battery ends them.
        moves: of the rung, or of the rate by more than a tenth.
        value: sum of quality over all answered examples.
        limit_celsius: that was to be kept, or None.
    """

    moments: tuple[Moment, ...]
    moves: int
    value: float
    limit_celsius: float | None

    @property
    def hours(self) -> float:
        return self.moments[-1].seconds / 3600

    @property
    def answered(self) -> int:
        return sum(moment.answered for moment in self.moments)

    @property
    def used_wh(self) -> float:
        """Energy of the board, Wh."""
        return sum(moment.watts for moment in self.moments) * STEP_S / 3600

    @property
    def hottest(self) -> Moment:
        return max(self.moments, key=lambda moment: moment.celsius)

    @property
    def above_s(self) -> int:
        """Seconds above the limit, all told."""
        limit = self.limit_celsius
        return 0 if limit is None else sum(moment.celsius > limit for moment in self.moments)

    def shares(self) -> dict[str, float]:
        """Share of the time of each rung; `rest` among them."""
        counted = Counter(moment.rung or "rest" for moment in self.moments)
        return {rung: count / len(self.moments) for rung, count in counted.most_common()}


def trial(
    policy: Policy,
    board: SimulatedBoard,
    hours: float,
    told: Callable[[State, Decision, Readings, Work], None] = lambda *_: None,
) -> Trial:
    """Let the governor run a board, a decision a second.

    Args:
        policy: with its plans and limits.
        board: new.
        hours: above zero; an empty battery ends it earlier.
        told: of every decision and what it was made of.
    """
    plans: dict[str | None, RungPlan] = {plan.name: plan for plan in policy.plans}
    state = policy.start()
    readings = board.look()
    state, decision = _decide(policy, state, readings, board.advance(STEP_S), board.now_s, told)
    moments: list[Moment] = []
    moves, value = 0, 0.0
    mark = (decision.rung, decision.rate)
    for _ in range(round(hours * 3600 / STEP_S)):
        plan = plans.get(decision.rung)
        work = board.advance(STEP_S, plan, decision.rate)
        there = board.state()
        moments.append(
            Moment(board.now_s, there.celsius, there.watts, there.clock, decision.rung, work.answered, there.battery_wh)
        )
        value += work.answered * (0.0 if plan is None else plan.quality)
        if there.battery_wh is not None and there.battery_wh <= 0:
            break
        state, decision = _decide(policy, state, board.look(), work, board.now_s, told)
        if decision.rung != mark[0] or abs(decision.rate - mark[1]) > COUNTED * mark[1]:
            mark, moves = (decision.rung, decision.rate), moves + 1
    return Trial(tuple(moments), moves, value, policy.limits.celsius)


def _decide(
    policy: Policy,
    state: State,
    readings: Readings,
    work: Work,
    now_s: float,
    told: Callable[[State, Decision, Readings, Work], None],
) -> tuple[State, Decision]:
    after, decision = policy.decide(state, readings, work, now_s)
    told(state, decision, readings, work)
    return after, decision
