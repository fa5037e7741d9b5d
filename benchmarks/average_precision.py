"""Average precision of boxes over a film, at an overlap of 0.5.

Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective", IJCV 2015, section 3.5: detections of
all frames in the order of their scores, each thing found once, the area under precision made monotone over recall, at
every recall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.heads.found import overlaps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.device.pipelines.nouns import Box

SAME_THING = 0.5


@dataclass(frozen=True)
class Thing:
    """What is in a frame: corners in 0..1 of the picture, and its class."""

    corners: tuple[float, float, float, float]
    index: int


def things(boxes: Sequence[Box], least_score: float) -> list[Thing]:
    """What one detector is sure of, as a truth for another."""
    return [Thing((box.left, box.top, box.right, box.bottom), box.index) for box in boxes if box.score >= least_score]


def mean_average_precision(truth: Sequence[Sequence[Thing]], found: Sequence[Sequence[Box]], least: int = 1) -> float:
    """Mean over the classes that the truth has at least `least` times, 0 to 1."""
    count: dict[int, int] = {}
    for frame in truth:
        for thing in frame:
            count[thing.index] = count.get(thing.index, 0) + 1
    return float(np.mean([average_precision(truth, found, index) for index in count if count[index] >= least]))


def average_precision(truth: Sequence[Sequence[Thing]], found: Sequence[Sequence[Box]], index: int) -> float:
    """Of one class, 0 to 1."""
    judged: list[tuple[float, bool]] = []
    total = 0
    for wanted, boxes in zip(truth, found, strict=True):
        left = [thing.corners for thing in wanted if thing.index == index]
        total += len(left)
        for box in sorted((one for one in boxes if one.index == index), key=lambda one: -one.score):
            judged.append((box.score, _take(left, box)))
    judged.sort(key=lambda one: -one[0])
    hits = np.cumsum([hit for _, hit in judged])
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    return float(np.sum(np.diff(hits / total, prepend=0) * precision))


def _take(left: list[tuple[float, float, float, float]], box: Box) -> bool:
    """Whether the box lies on a thing that nobody has found yet; it is taken out."""
    if not left:
        return False
    shares = overlaps(np.array([[box.left, box.top, box.right, box.bottom]]), np.array(left))[0]
    best = int(np.argmax(shares))
    if shares[best] < SAME_THING:
        return False
    left.pop(best)
    return True
