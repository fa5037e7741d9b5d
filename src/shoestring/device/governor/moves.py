"""When a better choice is taken: drops at once, climbs after a while, and not too often."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.device.governor.choice import floored
from shoestring.device.governor.state import Course, Trial

if TYPE_CHECKING:
    from shoestring.device.governor.choice import Pick

COUNTED = 0.10
"""A rate that is off by more than this share since the last counted move is a move itself."""
TRIM_S, CLIMB_S, RESUME_S = 30.0, 120.0, 60.0
"""Seconds that must pass after a change before the rate is trimmed up, before a climb, before a rest ends."""
TRIM_GAIN, CLIMB_GAIN, BETTER_GAIN = 1.02, 1.05, 1.005
"""What must be promised, as a factor on the value: by a trim, by a climb, by a better rung at no lower rate."""
HOUR_S = 3600.0
MOST_MOVES = 6
"""In an hour. A climb leaves room for the drop that may have to undo it and for one more."""
DEEPER = {3: 0.05, 4: 0.15, 5: 0.3}
"""Moves of the last hour -> share by which a drop goes below what is aimed at, so that few more follow."""
UNDONE_S = 300.0
"""A climb that is undone within this was none."""
BACKOFF_S, MOST_BACKOFF_S = 120.0, 3600.0
TRIAL_S, TRIAL_EXAMPLES = 30.0, 15.0
"""A climb is judged after so long, or after so many examples where they are rarer."""
USED = 0.7
"""Share of the rate that must be used before more of it is given: where fewer examples come in, more does nothing."""
EFFECT = 0.25
"""Share of what a climb promised that it must have brought."""


def counted(course: Course, rung: str | None, rate: float) -> bool:
    """Whether that is a move from the last counted one."""
    if rung != course.mark_rung:
        return True
    return abs(rate - course.mark_rate) > COUNTED * max(course.mark_rate, 1e-12)


def deeper(course: Course) -> float:
    """What a drop is to be multiplied with."""
    count = len(course.moves)
    return 1.0 - DEEPER.get(min(count, MOST_MOVES - 1), 0.0)


def recent(course: Course, now_s: float) -> Course:
    """With the moves of the last hour only."""
    if course.moves and course.moves[0] <= now_s - HOUR_S:
        return replace(course, moves=tuple(at for at in course.moves if at > now_s - HOUR_S))
    return course


def may_climb(course: Course, pick: Pick, value: float, achieved: float, now_s: float) -> Pick | None:
    """The climb that is due: the pick itself, a trim towards it, or None.

    Args:
        pick: the best that there is room for.
        value: of what runs, were its whole rate used.
        achieved: of what was done.
    """
    since = now_s - (course.changed_s if course.changed_s is not None else now_s)
    if pick.name is None or pick.value < BETTER_GAIN * value:
        return None
    resting = course.rung is None
    if pick.name == course.rung and achieved < USED * value:
        return None
    better = pick.name != course.rung and pick.rate >= course.rate
    gain = BETTER_GAIN if better else CLIMB_GAIN
    most = MOST_MOVES - 1 if resting else MOST_MOVES - 3  # an hour of rest is worse than a seventh move
    free = len(course.moves) <= most and (course.climb_from_s is None or now_s >= course.climb_from_s)
    if free and pick.value >= gain * value and since >= (RESUME_S if resting else CLIMB_S):
        return pick
    if resting or pick.name != course.rung or since < TRIM_S:
        return None
    if course.trim_from_s is not None and now_s < course.trim_from_s:
        return None
    rate = min(pick.rate, course.mark_rate * (1 + COUNTED) * 0.999)
    if floored(rate) < TRIM_GAIN * course.rate:
        return None
    return replace(pick, rate=rate, value=pick.value * rate / pick.rate, watts=pick.watts * rate / pick.rate)


def moved_to(course: Course, pick: Pick, now_s: float) -> Course:
    """After taking that pick."""
    rate = floored(pick.rate)
    if not counted(course, pick.name, rate):
        return replace(course, rate=rate, changed_s=now_s)
    return replace(
        course,
        rung=pick.name,
        rate=rate,
        mark_rung=pick.name,
        mark_rate=rate,
        changed_s=now_s,
        moves=(*course.moves, now_s),
        trial=None,
    )


def climbed(before: Course, after: Course, achieved: float, expected: float, now_s: float) -> Course:
    """After a climb: with its trial, if it was a counted one."""
    if len(after.moves) == len(before.moves):
        return after
    if before.rung is None:  # nothing was done before: there is nothing to go back to
        return replace(after, climbed_s=now_s)
    due = now_s + max(TRIAL_S, TRIAL_EXAMPLES / max(after.rate, 1e-6))
    return replace(after, climbed_s=now_s, trial=Trial(before.rung, before.rate, achieved, expected, due))


def undone(course: Course, now_s: float) -> Course:
    """After a drop: if it undid a climb, the next climb waits twice as long as the last one did."""
    if course.climbed_s is None:
        return course
    if now_s - course.climbed_s > UNDONE_S:
        return replace(course, climb_backoff_s=0.0, climbed_s=None)
    backoff = min(max(BACKOFF_S, 2 * course.climb_backoff_s), MOST_BACKOFF_S)
    return replace(course, climb_from_s=now_s + backoff, climb_backoff_s=backoff, climbed_s=None, trial=None)
