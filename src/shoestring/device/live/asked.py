"""What an operator asks of a device, and the limits that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.device.governor.nouns import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.device.governor.nouns import RungPlan
    from shoestring.domain.chip import Chip

USUAL_CELSIUS = 80.0
"""Kept below where nobody says where the board begins to throttle: what Raspberry Pi boards do it at, and lower than
processors of mini-PCs do (raspberrypi/documentation, frequency-management.adoc)."""


@dataclass(frozen=True)
class Asked:
    """Of a device. None is "no such wish".

    Args:
        rate: examples a second, above zero; None takes all that the source gives.
        celsius: that the processor stays below; None takes where the chip begins to throttle, or USUAL_CELSIUS.
        watts: of the board, mean over a minute.
        deadline_s: from a frame's arrival to its answer, s.
        memory_bytes: for the engine.
        battery_wh: that may be spent.
        hours: that the battery must last.
        rung: the only one to run.
        allow_degraded: whether rungs below the proven floor may run.
        cooling: of the chip, one of `domain.chip.COOLINGS`; None takes the best that its file describes.
    """

    rate: float | None = None
    celsius: float | None = None
    watts: float | None = None
    deadline_s: float | None = None
    memory_bytes: int | None = None
    battery_wh: float | None = None
    hours: float | None = None
    rung: str | None = None
    allow_degraded: bool = False
    cooling: str | None = None


def limits_of(asked: Asked, plans: Sequence[RungPlan], chip: Chip | None, source_rate: float | None) -> Limits:
    """What the policy keeps to.

    Args:
        asked: by the operator.
        plans: of the rungs.
        chip: that we run on, where somebody says so.
        source_rate: frames a second that the source gives; None where it waits for us, as files do, or does not say.
            Then as many are wanted as the fastest rung could do.
    """
    throttle = chip.throttle[0].at.value if chip is not None and chip.throttle else USUAL_CELSIUS
    fastest = 1 / min(plan.busy_s for plan in plans)
    return Limits(
        rate=asked.rate or source_rate or fastest,
        celsius=throttle if asked.celsius is None else asked.celsius,
        watts=asked.watts,
        deadline_s=asked.deadline_s,
        memory_bytes=asked.memory_bytes,
        battery_wh=asked.battery_wh,
        hours=asked.hours,
        pinned=asked.rung,
        allow_degraded=asked.allow_degraded,
    )
