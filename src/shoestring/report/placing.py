"""Where the labels of a plot go so that none covers another, a mark or the frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

_RADII = (9.0, 16.0, 26.0, 38.0, 54.0, 74.0, 100.0, 132.0, 170.0, 215.0)
_DIRECTIONS = 16


@dataclass(frozen=True)
class Box:
    """An upright rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether the two share more than an edge."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def distance(self, x: float, y: float) -> float:
        """From a point to the nearest place of this; zero within it."""
        return math.hypot(max(self.left - x, 0.0, x - self.right), max(self.top - y, 0.0, y - self.bottom))

    def inside(self, other: Box) -> bool:
        """Whether this lies within `other`."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True)
class Anchor:
    """A mark that wants a label of this width and height."""

    x: float
    y: float
    width: float
    height: float


def place(anchors: list[Anchor], marks: list[Box], strokes: list[Box], frame: Box) -> list[Box | None]:
    """Place one label for each anchor, near its mark.

    Greedy: the first anchor chooses first. A label never covers another label or a mark and never leaves the frame; it
    covers a stroke (an error bar, a line) only where every free place is farther than that is worth.

    Args:
        anchors: the most important first.
        marks: what no label may cover.
        strokes: what a label should not cover.
        frame: what every label stays in.

    Returns:
        For each anchor the box of its label, or None where there is no room.
    """
    taken = list(marks)
    placed: list[Box | None] = []
    for anchor in anchors:
        best: Box | None = None
        best_cost = math.inf
        for distance, box in _candidates(anchor):
            if distance >= best_cost:
                break
            if not box.inside(frame) or any(box.overlaps(other) for other in taken):
                continue
            cost = distance + 30.0 * sum(box.overlaps(stroke) for stroke in strokes)
            if cost < best_cost:
                best, best_cost = box, cost
        placed.append(best)
        if best is not None:
            taken.append(best)
    return placed


def _candidates(anchor: Anchor) -> list[tuple[float, Box]]:
    """Places around an anchor, nearest first; to the right before the other sides."""
    found = []
    for radius in _RADII:
        for step in range(_DIRECTIONS):
            # 0, 1, -1, 2, -2 ... sixteenths of a turn away from the right.
            turn = (step + 1) // 2 * (1 if step % 2 else -1)
            angle = 2 * math.pi * turn / _DIRECTIONS
            x = anchor.x + radius * math.cos(angle)
            y = anchor.y + radius * math.sin(angle)
            # The label hangs on the side that faces its mark.
            left = x - anchor.width * (1 - math.cos(angle)) / 2
            top = y - anchor.height * (1 - math.sin(angle)) / 2
            found.append((radius, Box(left, top, left + anchor.width, top + anchor.height)))
    return found
