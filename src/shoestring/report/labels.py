"""Labels of a plot's marks: placed so that none covers another, with a line to the mark where it is far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from shoestring.report import svg
from shoestring.report.marks import RADIUS
from shoestring.report.placing import Anchor, Box, place

_TEXT_HEIGHT = 15.0
# Widest average of the usual system fonts at 12.5 px; too wide only costs room.
_CHARACTER_WIDTH = 7.3


@dataclass(frozen=True)
class Spot:
    """A mark that wants a label; `role` names the style of both."""

    x: float
    y: float
    label: str
    role: str


def labels(spots: Sequence[Spot], strokes: Sequence[Box], frame: Box) -> list[str]:
    """Markup of every label that found a place.

    Args:
        spots: the most important first: it has the first choice.
        strokes: lines that no label may cover.
        frame: where labels may be.
    """
    anchors = [Anchor(spot.x, spot.y, len(spot.label) * _CHARACTER_WIDTH, _TEXT_HEIGHT) for spot in spots]
    marks = [Box(spot.x - RADIUS, spot.y - RADIUS, spot.x + RADIUS, spot.y + RADIUS) for spot in spots]
    drawn = []
    for spot, box in zip(spots, place(anchors, marks, list(strokes), frame), strict=True):
        if box is None:
            continue
        # Text ends where its box faces the mark, since its true width is not known here.
        middle = (box.left + box.right) / 2
        x, anchor = middle, "middle"
        if box.left >= spot.x:
            x, anchor = box.left, "start"
        elif box.right <= spot.x:
            x, anchor = box.right, "end"
        drawn.extend(_leader(spot, box, spots))
        drawn.append(svg.text(spot.label, x, box.bottom - 3.5, f"label label-{spot.role}", anchor))
    return drawn


def _leader(spot: Spot, box: Box, spots: Sequence[Spot]) -> list[str]:
    """A line from a label to its mark, where the label is far from it or close to another."""
    x, y = min(max(spot.x, box.left), box.right), min(max(spot.y, box.top), box.bottom)
    distance = math.hypot(x - spot.x, y - spot.y)
    others = (box.distance(other.x, other.y) for other in spots if other is not spot)
    if distance <= RADIUS + 1 or (distance <= 20 and min(others, default=math.inf) > 1.5 * distance):
        return []
    part = (RADIUS + 1) / distance
    return [svg.line(spot.x + part * (x - spot.x), spot.y + part * (y - spot.y), x, y, "leader")]
