"""What stands around simulated devices: bundles that are good or bad, networks that go away, clocks that are wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.fleet.rollout import Wanted

if TYPE_CHECKING:
    import random

HOUR_S, DAY_S = 3_600, 86_400
START_S = 1_800_000_000
"""Of the world, s since 1970 by a right clock."""
SIGNED_FOR_S = 7 * DAY_S
"""Of the repository's freshest file, as `fleet.roles` has it."""
GROUP = "porch"


@dataclass(frozen=True)
class Bundle:
    """A bundle of the simulation.

    Args:
        wanted: as a release asks for it.
        fails: share of the devices that it fails on while it is on trial.
    """

    wanted: Wanted
    fails: float

    @property
    def sha256(self) -> str:
        """Of the file."""
        return self.wanted.sha256


@dataclass(frozen=True)
class Outage:
    """A time in which somebody cannot be reached.

    Args:
        from_s, to_s: by the world's time.
    """

    from_s: float
    to_s: float

    def covers(self, now_s: float) -> bool:
        """Whether it is now."""
        return self.from_s <= now_s < self.to_s


NEVER = Outage(math.inf, math.inf)


@dataclass(frozen=True)
class WrongClock:
    """How a device's clock differs from the world's time.

    Args:
        kind: `right`, `1970`, `ahead`, `behind` or `steps`.
        mended_s: when it is set right, by the world's time.
        by_s: that it is ahead or behind by.
    """

    kind: str = "right"
    mended_s: float = 0.0
    by_s: float = 0.0

    def reads(self, now_s: float) -> float:
        """What the device's clock says, s since 1970."""
        if self.kind == "right" or now_s >= self.mended_s:
            return now_s
        if self.kind == "1970":
            return now_s - START_S
        if self.kind == "steps":  # a quarter of an hour right, a quarter wrong, and so on
            return now_s + self.by_s * (int(now_s // 900) % 2)
        return now_s + (self.by_s if self.kind == "ahead" else -self.by_s)


def draw_clock(rng: random.Random, share: float, mended_s: float) -> WrongClock:
    """A clock that is wrong with the probability `share`."""
    if rng.random() >= share:
        return WrongClock()
    kind = rng.choice(("1970", "ahead", "behind", "steps"))
    return WrongClock(kind, mended_s, rng.choice((HOUR_S, 30 * DAY_S, 3_650 * DAY_S)))
