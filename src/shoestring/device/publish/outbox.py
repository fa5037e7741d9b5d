"""What waits to be sent: bounded whatever the network does."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """One to send.

    Args:
        topic: of it.
        payload: UTF-8.
        retain: whether the broker keeps it for those who come later.
    """

    topic: str
    payload: str
    retain: bool


class Outbox:
    """States and events, safe from several threads.

    A state is its newest value: a newer one takes the place of one that waits, and all go out again after the broker
    was away, since it may have forgotten them. Events are kept in their order, the newest `most`.

    Args:
        most: events that wait, at least 1; above it the oldest go.

    Attributes:
        lost: events that went unsent.
    """

    def __init__(self, most: int) -> None:
        self.lost = 0
        self._most = most
        self._states: dict[str, str] = {}
        self._dirty: dict[str, None] = {}  # in the order of their change
        self._events: deque[Message] = deque()
        self._news = threading.Condition()

    def state(self, topic: str, payload: str) -> None:
        """What holds from now on; what holds already is not sent again."""
        with self._news:
            if self._states.get(topic) != payload:
                self._states[topic] = payload
                self._dirty[topic] = None
                self._news.notify()

    def event(self, topic: str, payload: str) -> None:
        """What happened."""
        with self._news:
            if len(self._events) == self._most:
                self._events.popleft()
                self.lost += 1
            self._events.append(Message(topic, payload, retain=False))
            self._news.notify()

    def renew(self) -> None:
        """Send every state again."""
        with self._news:
            self._dirty = dict.fromkeys(self._states)
            self._news.notify()

    def take(self, wait_s: float) -> Message | None:
        """The next to send, states first; None when there is none for `wait_s`."""
        with self._news:
            if not self._dirty and not self._events:
                self._news.wait(wait_s)
            if self._dirty:
                topic = next(iter(self._dirty))
                del self._dirty[topic]
                return Message(topic, self._states[topic], retain=True)
            return self._events.popleft() if self._events else None

    def back(self, message: Message) -> None:
        """It could not be sent: a state waits again unless it has changed, an event is lost."""
        with self._news:
            if not message.retain:
                self.lost += 1
            elif self._states.get(message.topic) == message.payload:
                self._dirty[message.topic] = None

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        with self._news:
            return not self._dirty and not self._events


__all__ = ["Message", "Outbox"]
