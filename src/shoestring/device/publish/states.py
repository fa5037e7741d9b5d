"""From results and decisions to what others are told: at most once in a while, and only what is known."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoestring.device.governor.nouns import Decision, Work
    from shoestring.device.pipelines.nouns import Result
    from shoestring.device.publish.discovery import Device
    from shoestring.device.sensors.readings import Readings

PERIOD_S = 1.0
"""Between two messages of a topic: a house needs no 25 a second, and a broker on a small board less so."""
HEALTH_S = 5.0
"""Between two messages about the board: temperature moves slowly."""
HOLD_S = 10.0
"""A class counts as there for so long after it was last seen: detectors miss things for a frame or two."""
UNKNOWN = "None"
"""What sets a binary sensor of Home Assistant to "unknown"."""

States = dict[tuple[str, ...], str]
"""Payload by the last parts of its topic."""


class Watch:
    """Remembers when each class was last seen.

    Args:
        device: whose classes are watched.
        hold_s: see HOLD_S.
        period_s: see PERIOD_S.
        health_s: see HEALTH_S.
    """

    def __init__(
        self, device: Device, *, hold_s: float = HOLD_S, period_s: float = PERIOD_S, health_s: float = HEALTH_S
    ) -> None:
        self._device, self._slugs = device, device.slugs
        self._hold_s, self._period_s, self._health_s = hold_s, period_s, health_s
        self._seen_s: dict[str, float] = {}
        self._heard_s: float | None = None
        self._told_s: float | None = None
        self._health_told: tuple[float, str | None] | None = None
        self._answered = 0

    def result(self, result: Result) -> tuple[States, bool]:
        """What changes by a result.

        Returns:
            The states, and whether the result itself is worth a message: the first in PERIOD_S is.
        """
        now_s = self._heard_s = result.answered_s
        for label in _labels(result):
            self._seen_s[label] = now_s
        states = self._occupancy(now_s)
        due = self._told_s is None or now_s - self._told_s >= self._period_s
        if due:
            self._told_s = now_s
            states |= self._counts(result)
        return states, due

    def decision(self, decision: Decision, readings: Readings, work: Work) -> States:
        """What changes by a look at the board; it also says when nothing is seen since nothing is looked at."""
        states = self._occupancy(decision.at_s)
        self._answered += work.answered
        before = self._health_told
        waited_s = None if before is None else decision.at_s - before[0]
        if before is not None and before[1] == decision.rung and waited_s is not None and waited_s < self._health_s:
            return states
        told: dict[str, Any] = {
            "rung": decision.rung or "resting",
            "reason": decision.reason,
            "rate": None if not waited_s else round(self._answered / waited_s, 2),
            "celsius": None if readings.celsius is None else round(readings.celsius, 1),
            "watts": None if readings.watts is None else round(readings.watts, 2),
        }
        self._health_told, self._answered = (decision.at_s, decision.rung), 0
        states[("device",)] = _json(told)
        return states

    def _occupancy(self, now_s: float) -> States:
        """ON while a class was seen within HOLD_S; unknown where no picture was answered for as long."""
        blind = self._heard_s is None or now_s - self._heard_s > self._hold_s
        states: States = {}
        for label, part in self._slugs.items():
            seen_s = self._seen_s.get(label)
            there = seen_s is not None and now_s - seen_s <= self._hold_s
            states["occupancy", part] = UNKNOWN if blind else "ON" if there else "OFF"
        return states

    def _counts(self, result: Result) -> States:
        if self._device.detects:
            counts = Counter(box.label for box in result.boxes)
            watched = {label: counts[label] for label in self._device.watched}
            return {("objects",): _json({"total": len(result.boxes), "classes": {**counts, **watched}})}
        if result.answer is None:
            return {}
        return {("answer",): _json({"label": result.answer.label, "score": round(result.answer.score, 4)})}


def _labels(result: Result) -> set[str]:
    seen = {box.label for box in result.boxes}
    return seen if result.answer is None else seen | {result.answer.label}


def _json(plain: dict[str, Any]) -> str:
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


__all__ = ["HOLD_S", "PERIOD_S", "UNKNOWN", "States", "Watch"]
