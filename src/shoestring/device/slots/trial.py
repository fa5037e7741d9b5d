"""When a bundle has served well enough, or too badly: pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

TRIAL_ANSWERS = 1_000
"""In a row without a fault: a minute of a camera, in which what one picture in a hundred brings about is seen."""
TRIAL_S = 600.0
"""Without a fault, for who asks rarely: heat, leaks and a camera's bad minutes show within ten."""
MAX_FAULTS = 10
"""Of engines during a trial. One picture may break an engine and be to blame itself; ten times it is the bundle."""


@dataclass(frozen=True)
class Rules:
    """What a bundle must do; the first of the two ends its trial.

    Args:
        answers: in a row without a fault, at least 1.
        seconds: without a fault, above 0.
        faults: that end it the other way, at least 1.
    """

    answers: int = TRIAL_ANSWERS
    seconds: float = TRIAL_S
    faults: int = MAX_FAULTS


@dataclass(frozen=True)
class Progress:
    """How a trial goes.

    Args:
        since_s: monotonic clock when it began, or at the last fault.
        answered: since then.
        faults: in all.
    """

    since_s: float
    answered: int = 0
    faults: int = 0


def after(progress: Progress, answered: int, failed: int, now_s: float) -> Progress:
    """The progress once so many examples were answered and so many engines broke, as of now."""
    if failed:
        return Progress(now_s, 0, progress.faults + failed)
    return replace(progress, answered=progress.answered + answered)


def verdict(progress: Progress, rules: Rules, now_s: float) -> bool | None:
    """True: it served well; False: it is over; None: it goes on."""
    if progress.faults >= rules.faults:
        return False
    enough = progress.answered >= rules.answers or now_s - progress.since_s >= rules.seconds
    return True if enough else None


__all__ = ["MAX_FAULTS", "TRIAL_ANSWERS", "TRIAL_S", "Progress", "Rules", "after", "verdict"]
