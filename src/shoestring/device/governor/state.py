"""What the policy remembers from one decision to the next. Frozen, and plain enough for a journal."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.device.governor.line import Line
from shoestring.device.governor.slope import Slope
from shoestring.device.governor.thermal import Heat


@dataclass(frozen=True, slots=True)
class Hold:
    """A rung that is left alone for a while.

    Args:
        rung: its name.
        until_s: of the clock.
        backoff_s: how long it was; the next one is twice that.
        why: a reason of the policy.
    """

    rung: str
    until_s: float
    backoff_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A climb that has to show an effect.

    Args:
        rung, rate: before it.
        achieved: quality x answers a second before it.
        expected: what it should have added to that.
        due_s: when it is judged.
    """

    rung: str | None
    rate: float
    achieved: float
    expected: float
    due_s: float


@dataclass(frozen=True, slots=True)
class Supply:
    """A supply that was too weak.

    Args:
        watts: above idle that are allowed.
        until_s: when it may have a little more.
        backoff_s: how long that was; the next one is twice that.
    """

    watts: float
    until_s: float
    backoff_s: float


@dataclass(frozen=True, slots=True)
class Course:
    """Where the policy stands and how it came there.

    Args:
        rung: that runs; None rests.
        rate: asked of it, 1/s.
        mark_rung, mark_rate: after the last counted move.
        changed_s: time of the last change of any size.
        moves: times of the counted moves of the last hour.
        climbed_s: time of the last counted climb.
        climb_from_s, trim_from_s: no counted climb, and no trim upwards, before.
        climb_backoff_s: how long that was when it was set.
        trial: of the last climb.
        late: decisions in a row that found answers later than the deadline.
    """

    rung: str | None = None
    rate: float = 0.0
    mark_rung: str | None = None
    mark_rate: float = 0.0
    changed_s: float | None = None
    moves: tuple[float, ...] = ()
    climbed_s: float | None = None
    climb_from_s: float | None = None
    trim_from_s: float | None = None
    climb_backoff_s: float = 0.0
    trial: Trial | None = None
    late: int = 0


@dataclass(frozen=True, slots=True)
class Energy:
    """What is known of watts.

    Args:
        line: watts of the board from the watts above idle that its load has by the plans; None before anything is
            known.
        spent_wh: since the start.
        supply: while the supply is not trusted.
    """

    line: Line | None = None
    spent_wh: float = 0.0
    supply: Supply | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Everything that one decision leaves for the next.

    Args:
        busy_s: of each rung at full clock, s, as measured so far.
        at_s: of the last decision; None before the first.
        started_s: of the first decision.
        course, energy: as above.
        heat: with a model of the board; None before the first reading.
        slope: without one, likewise.
        achieved: quality x answers a second, a mean over the last seconds.
        holds: rungs that are left alone, or were.
    """

    busy_s: tuple[float, ...]
    at_s: float | None = None
    started_s: float = 0.0
    course: Course = Course()
    energy: Energy = Energy()
    heat: Heat | None = None
    slope: Slope | None = None
    achieved: float = 0.0
    holds: tuple[Hold, ...] = ()
