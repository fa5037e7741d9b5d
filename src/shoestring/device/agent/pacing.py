"""When to ask again: pure, from numbers drawn for this device alone.

A fleet that was switched on together, or that lost its server together, must not come back together. So the first look
is anywhere within one period, later ones keep the distance that this made, and after failures each device waits a time
drawn from zero up to a limit that doubles ("full jitter": M. Brooker, "Exponential Backoff And Jitter", AWS
Architecture Blog, 2015).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_S = 900.0
LEAST_EVERY_S, MOST_EVERY_S = 1.0, 7 * 86_400.0
"""Of the period; a repository's freshest file is signed again within days, and a week still finds it."""
SPREAD = 0.1
"""Share of the period that a wait may be shorter or longer: devices that met by chance drift apart."""
FIRST_SHARE, MOST_PERIODS = 1 / 30, 4.0
"""Limits of the wait after the first failure and after many, in periods: 30 s and an hour with the usual one."""
LEAST_WAIT_S = 0.25
MAX_RETRY_AFTER_S = 86_400.0
"""That a server may ask for; one that says a year shall not switch the fleet off."""


@dataclass(frozen=True)
class Pace:
    """The waits of one device.

    Args:
        every_s: period of looking, within LEAST_EVERY_S to MOST_EVERY_S.
        draw: gives uniform numbers in [0, 1).
    """

    every_s: float
    draw: Callable[[], float]

    def first_s(self) -> float:
        """Before the first look."""
        return self.every_s * self.draw()

    def next_s(self, failures: int, retry_after_s: float | None = None) -> float:
        """Before the next look.

        Args:
            failures: one after the other so far; 0: the last look went well.
            retry_after_s: that the server asked for, if it did.
        """
        if failures == 0:
            wait_s = self.every_s * (1 - SPREAD + 2 * SPREAD * self.draw())
        else:
            limit_s = self.every_s * min(FIRST_SHARE * 2.0 ** min(failures - 1, 30), MOST_PERIODS)
            wait_s = limit_s * self.draw()
        if retry_after_s is not None and math.isfinite(retry_after_s):
            asked_s = min(max(retry_after_s, 0.0), MAX_RETRY_AFTER_S)
            # Everybody was told the same time; one more period spreads them out behind it.
            wait_s = asked_s + self.every_s * self.draw()
        return max(wait_s, LEAST_WAIT_S)


def pace_of(device: str, every_s: float) -> Pace:
    """The pace of a device: the same after each start, another than its neighbours'.

    Raises:
        UsageError: the period is out of its limits.
    """
    if not LEAST_EVERY_S <= every_s <= MOST_EVERY_S:
        raise UsageError(f"a look every {every_s:g} s is outside {LEAST_EVERY_S:g} s to {MOST_EVERY_S / 86400:g} days")
    return Pace(every_s, random.Random(f"pace of {device}").random)


__all__ = ["EVERY_S", "MAX_RETRY_AFTER_S", "Pace", "pace_of"]
