"""Tells a broker what the running device sees and how it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.device.live.listeners import Forecast, Listener
from shoestring.device.pipelines.sinks.jsonl import result_line
from shoestring.device.publish.discovery import PREFIX, Device, messages
from shoestring.device.publish.states import HOLD_S, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shoestring.device.governor.nouns import Decision, Work
    from shoestring.device.governor.state import State
    from shoestring.device.pipelines.nouns import Frame, Result
    from shoestring.device.publish.publisher import MqttPublisher
    from shoestring.device.publish.states import States
    from shoestring.device.sensors.readings import Readings

MOST_BY_ITSELF = 12
"""A detector of so few classes gets entities for all of them; of more, for those that are named."""


class MqttListener(Listener):
    """Publishes, and says when the broker is away.

    Args:
        publisher: to send with; closed here.
        device: that is published.
        prefix: of Home Assistant's discovery topics; empty tells it nothing.
        hold_s: that a class counts as there after it was last seen, s.
        say: told `mqtt` and what is wrong, or None when all is well again.
    """

    name = "mqtt"

    def __init__(
        self,
        publisher: MqttPublisher,
        device: Device,
        *,
        prefix: str = PREFIX,
        hold_s: float = HOLD_S,
        say: Callable[[str, str | None], None] = lambda what, words: None,
    ) -> None:
        self._publisher, self._device, self._say = publisher, device, say
        self._watch = Watch(device, hold_s=hold_s)
        self._said: str | None = None
        if prefix:
            for topic, payload in messages(device, prefix).items():
                publisher.state(topic, payload)

    def result(self, frame: Frame, result: Result) -> None:
        states, due = self._watch.result(result)
        self._tell(states)
        if due:
            arrived = time.time() - time.monotonic() + result.arrived_s
            self._publisher.event(self._device.topic("result"), result_line(result, arrived))

    def decision(
        self, before: State, decision: Decision, readings: Readings, work: Work, forecast: Forecast | None
    ) -> None:
        self._tell(self._watch.decision(decision, readings, work))
        trouble = self._publisher.trouble
        if trouble != self._said:
            lost = self._publisher.lost
            self._say(self.name, trouble and (f"{trouble}; {lost} results were let go" if lost else trouble))
            self._said = trouble

    def close(self) -> None:
        self._publisher.close()

    def _tell(self, states: States) -> None:
        for parts, payload in states.items():
            self._publisher.state(self._device.topic(*parts), payload)


def watched_of(labels: Sequence[str], named: Sequence[str] | None, *, detects: bool) -> tuple[str, ...]:
    """Classes with entities of their own: those named, or all of a detector of few.

    Raises:
        UsageError: the model has no such class.
    """
    if named is None:
        return tuple(labels) if detects and len(labels) <= MOST_BY_ITSELF else ()
    for name in named:
        if name not in labels:
            few = ", ".join(labels[:MOST_BY_ITSELF]) + (", ..." if len(labels) > MOST_BY_ITSELF else "")
            raise UsageError(f"the model has no class {name!r}", hint=f"it has {few or 'no names'}")
    return tuple(dict.fromkeys(named))


__all__ = ["MqttListener", "watched_of"]
