"""The governor's heartbeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.device.live.listeners import Forecast, Listener

if TYPE_CHECKING:
    from shoestring.device.governor.nouns import Decision, Work
    from shoestring.device.governor.state import State
    from shoestring.device.sensors.readings import Readings
    from shoestring.device.service.notify import Heart


class Beats(Listener):
    """The governor moves: it has decided.

    Args:
        heart: told so, as the part `governor`.
    """

    name = "service manager"

    def __init__(self, heart: Heart) -> None:
        self._heart = heart

    def decision(
        self, before: State, decision: Decision, readings: Readings, work: Work, forecast: Forecast | None
    ) -> None:
        self._heart.beat("governor")
