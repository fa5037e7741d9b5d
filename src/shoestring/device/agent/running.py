"""The agent's days: a look every now and then, a glance at the slots every few seconds, reports when there is a way.

Everything that waits, waits by the monotonic clock. A wall clock that stands at 1970, jumps by ten years or runs
backwards changes no wait; it only dates reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import StorageError
from shoestring.device.agent.pulse import PART, step
from shoestring.device.agent.reporting import deliver
from shoestring.device.agent.sending import TAKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.agent.agent import Agent, Look
    from shoestring.device.agent.pacing import Pace
    from shoestring.device.agent.queue import ReportQueue
    from shoestring.device.agent.sending import Sender
    from shoestring.device.service.notify import Heart

GLANCE_S = 5.0
"""Between two glances at the slots: a record of some kB is read. A server that confirms or fails is told of so soon."""
HEARTBEAT_S = 86_400.0
"""Between two reports of a device that has nothing new to tell."""


@dataclass(frozen=True)
class Post:
    """Where reports go.

    Args:
        queue: that they wait in.
        sender: that brings them.
        pace: of trying; its period is the one of looks.
    """

    queue: ReportQueue
    sender: Sender
    pace: Pace


class Days:
    """What happens when.

    Args:
        agent: that looks.
        pace: of its looks.
        post: of its reports; None where nobody is told.
        clock: monotonic, s.
        say: told what happens, for people.
        heart: told that we live; None where nobody listens.
    """

    def __init__(
        self,
        agent: Agent,
        pace: Pace,
        post: Post | None,
        clock: Callable[[], float],
        say: Callable[[str], None],
        heart: Heart | None = None,
    ) -> None:
        self._agent, self._pace, self._post = agent, pace, post
        self._clock, self._say, self._heart = clock, say, heart
        now_s = clock()
        self._look_s = now_s + pace.first_s()
        self._send_s = now_s
        self._heartbeat_s = now_s + HEARTBEAT_S
        self._failures = self._unsent = 0
        self._words = ""

    def once(self) -> Look:
        """One look now, and everything that follows from it."""
        found = self._look()
        self._watch()
        self._send()
        return found

    def turn(self) -> float:
        """Do what is due; seconds until something may be due again."""
        if self._clock() >= self._look_s:
            self._look()
        self._watch()
        if self._clock() >= self._send_s:
            self._send()
        if self._heart is not None:
            self._heart.beat(PART)
        return max(0.0, min(GLANCE_S, self._look_s - self._clock()))

    def _look(self) -> Look:
        with step(self._heart):
            found = self._agent.look()
        self._failures = self._failures + 1 if found.failed else 0
        wait_s = self._pace.next_s(self._failures, getattr(found.error, "retry_after_s", None))
        self._look_s = self._clock() + wait_s
        words = f"{found.did}: {found.words}"
        if words != self._words:
            self._say(words)
        self._words = words
        return found

    def _watch(self) -> None:
        beat = self._clock() >= self._heartbeat_s
        try:
            self._agent.watch(heartbeat=beat)
        except StorageError as error:
            self._say(str(error))
            return
        if beat:
            self._heartbeat_s = self._clock() + HEARTBEAT_S

    def _send(self) -> None:
        post = self._post
        if post is None or not post.queue.waiting:
            return
        try:
            with step(self._heart):
                answer = deliver(post.queue, post.sender)
        except StorageError as error:
            self._say(str(error))
            self._unsent += 1
            self._send_s = self._clock() + post.pace.next_s(self._unsent)
            return
        if answer.outcome == TAKEN:
            self._unsent, self._send_s = 0, self._clock()
            return
        self._unsent += 1
        self._send_s = self._clock() + post.pace.next_s(self._unsent, answer.retry_after_s)
        if self._unsent == 1 or answer.outcome != "later":
            self._say(f"a report was not taken: {answer.why}")


__all__ = ["GLANCE_S", "HEARTBEAT_S", "Days", "Post"]
