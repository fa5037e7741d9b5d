"""What the policy is told and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RungPlan:
    """A rung as the policy knows it.

    Args:
        name: of the rung.
        quality: its score as certified: the lower end, 0 to 1.
        certified: whether it stands on the proven floor; others run only when degrading is allowed.
        busy_s: of one example on this board, s, as measured here or, until then, as the bundle says.
        busy_high_s: the upper end of it, s; a deadline is kept by this one.
        load_watts: of the whole board above idle while it computes all the time, W; None where nothing says so.
        memory_bytes: resident, with its runtime; None where nothing says so.
    """

    name: str
    quality: float
    certified: bool
    busy_s: float
    busy_high_s: float
    load_watts: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Limits:
    """What the operator asks for. None is "no such limit".

    Args:
        rate: examples a second that are wanted; the policy never asks for more.
        celsius: that the processor stays below.
        watts: of the whole board, as a mean over a minute.
        deadline_s: from a frame's arrival to its answer, s.
        memory_bytes: for the engine.
        memory_spare_bytes: of the system that stay free.
        battery_wh: that may be spent from now on, where no sensor tells.
        hours: that the battery must last from the start.
        pinned: name of the only rung to run.
        allow_degraded: whether rungs below the proven floor may run when nothing else keeps the limits.
        least_rate: below this rate the policy gives quality before it gives more rate, 1/s.
    """

    rate: float
    celsius: float | None = None
    watts: float | None = None
    deadline_s: float | None = None
    memory_bytes: int | None = None
    memory_spare_bytes: int = 64 << 20
    battery_wh: float | None = None
    hours: float | None = None
    pinned: str | None = None
    allow_degraded: bool = False
    least_rate: float = 0.0


@dataclass(frozen=True)
class Work:
    """What the engine did since the last decision.

    Args:
        answered: examples.
        dropped: examples that were too old or too many.
        busy_s: mean seconds of one example on the rung that ran; None when none was answered.
        slow_s: 99th percentile from arrival to answer, s; None likewise.
        failed: rungs whose engine failed since, with how often.
    """

    answered: int = 0
    dropped: int = 0
    busy_s: float | None = None
    slow_s: float | None = None
    failed: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Decision:
    """The answer of the policy.

    Args:
        at_s: monotonic clock, s.
        rung: to run; None: rest until the next decision.
        rate: examples a second, at most.
        reason: one of the policy's named reasons.
        moved: whether rung or rate is another than before.
        numbers: everything that it rests on, by name; finite numbers, words, truth values or None.
    """

    at_s: float
    rung: str | None
    rate: float
    reason: str
    moved: bool
    numbers: dict[str, float | str | bool | None] = field(default_factory=dict)
