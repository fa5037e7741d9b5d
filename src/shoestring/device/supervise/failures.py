"""When a rung whose engine failed is tried again, and when it is left alone: pure rules over a history.

The first failure in a while costs no wait. Each further one within `within_s` doubles it, since what fails again at
once fails for a reason that waiting may cure (memory, heat, another program) and trying may make worse. A rung that
fails `times` times within `within_s` rests for `rest_s`, so that another one answers meanwhile; each further rest
is twice as long, unless the rung has done without one for `forget_s`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Policy:
    """The figures of the rules.

    Args:
        wait_s: before the second try, s; the first is made at once.
        most_wait_s: that doubling ends at, s.
        times: failures within `within_s` after which a rung rests, at least 1.
        within_s: that a failure is remembered, s.
        rest_s: of the first rest, s.
        most_rest_s: that doubling ends at, s.
        forget_s: without a rest after which rests are forgotten, s.
    """

    wait_s: float = 0.5
    most_wait_s: float = 60.0
    times: int = 3
    within_s: float = 300.0
    rest_s: float = 600.0
    most_rest_s: float = 6 * 3600.0
    forget_s: float = 3600.0


@dataclass(frozen=True)
class History:
    """What one rung's engine did. The clock is monotonic, seconds.

    Args:
        failed_s: when it failed, oldest first, no longer ago than the policy remembers.
        rests: that it was sent to.
        rests_until_s: end of the last of them; None when there was none.
        refused: why it never runs here; None when it may.
    """

    failed_s: tuple[float, ...] = ()
    rests: int = 0
    rests_until_s: float | None = None
    refused: str | None = None


def after_failure(history: History, at_s: float, policy: Policy) -> History:
    """The history once its engine has failed at `at_s`."""
    long_ago = history.rests_until_s is not None and at_s - history.rests_until_s > policy.forget_s
    rests = 0 if long_ago else history.rests
    kept = (*(one for one in history.failed_s if at_s - one <= policy.within_s), at_s)
    if len(kept) < policy.times or resting(history, at_s):
        return replace(history, failed_s=kept, rests=rests)
    rest_s = min(policy.most_rest_s, policy.rest_s * 2.0 ** min(rests, 30))
    return replace(history, failed_s=kept, rests=rests + 1, rests_until_s=at_s + rest_s)


def next_try_s(history: History, policy: Policy) -> float:
    """When an engine may be started at the earliest, by the waits alone; minus infinity when it never failed."""
    if not history.failed_s:
        return float("-inf")
    last = history.failed_s[-1]
    count = sum(1 for one in history.failed_s if last - one <= policy.within_s)
    if count == 1:
        return last
    return last + min(policy.most_wait_s, policy.wait_s * 2.0 ** min(count - 2, 30))


def resting(history: History, at_s: float) -> bool:
    """Whether the rung is left alone at `at_s`."""
    return history.rests_until_s is not None and at_s < history.rests_until_s


def usable(history: History, at_s: float) -> bool:
    """Whether the rung is neither refused nor left alone."""
    return history.refused is None and not resting(history, at_s)


__all__ = ["History", "Policy", "after_failure", "next_try_s", "resting", "usable"]
