"""Boxes of a YOLOv3 head, and how far two detectors agree on them.

Redmon and Farhadi, "YOLO9000", CVPR 2017, section 2 (direct location prediction): a box's centre is (sigmoid(t) + cell)
/ cells, its size the anchor times exp(t), its score objectness times class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
TINY_ANCHORS = (((23, 27), (37, 58), (81, 82)), ((81, 82), (135, 169), (344, 319)))
"""Width and height in pixels, of the fine and the coarse head of yolov3-tiny.cfg."""
LEAST_SCORE, SAME_OBJECT, SAME_BOX = 0.25, 0.45, 0.5


@dataclass(frozen=True)
class Box:
    """In parts of the picture's side.

    Args:
        corners: left, top, right, bottom.
        label: number of the class.
        score: 0..1.
    """

    corners: tuple[float, float, float, float]
    label: int
    score: float


def decode(heads: list[Array], anchors: tuple[tuple[tuple[int, int], ...], ...], side: int) -> list[Box]:
    """The boxes of one picture, best first, after non-maximum suppression within each class.

    Args:
        heads: (anchors * (5 + classes), rows, columns) each.
        anchors: of each head, pixels.
        side: of the picture, pixels.
    """
    found = [box for head, sizes in zip(heads, anchors, strict=True) for box in _of_head(head, sizes, side)]
    kept: list[Box] = []
    for box in sorted(found, key=lambda one: -one.score):
        if all(box.label != one.label or overlap(box, one) < SAME_OBJECT for one in kept):
            kept.append(box)
    return kept


def _of_head(head: Array, sizes: tuple[tuple[int, int], ...], side: int) -> list[Box]:
    rows, columns = head.shape[1:]
    values = head.reshape(len(sizes), -1, rows, columns).astype(np.float64)
    chance = 1 / (1 + np.exp(-values))
    boxes = []
    for anchor, row, column in np.argwhere(chance[:, 4] >= LEAST_SCORE):
        part, raw = chance[anchor, :, row, column], values[anchor, :, row, column]
        label = int(np.argmax(part[5:]))
        score = float(part[4] * part[5 + label])
        if score >= LEAST_SCORE:
            x, y = (part[0] + column) / columns, (part[1] + row) / rows
            w, h = (size / side * np.exp(t) for size, t in zip(sizes[anchor], raw[2:4], strict=True))
            boxes.append(Box((x - w / 2, y - h / 2, x + w / 2, y + h / 2), label, score))
    return boxes


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    a, b = np.array(one.corners), np.array(other.corners)
    inner = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return float(inner / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inner))


def matched(wanted: list[Box], found: list[Box]) -> int:
    """Pairs of one class that overlap by at least SAME_BOX; each box is in one pair at most, best scores first."""
    left = list(found)
    count = 0
    for box in wanted:
        fits = [one for one in left if one.label == box.label and overlap(box, one) >= SAME_BOX]
        if fits:
            left.remove(max(fits, key=lambda one: overlap(box, one)))
            count += 1
    return count
