"""Raw heads of YOLOv3 and YOLOv3-tiny: logits on grids, with anchors.

Redmon and Farhadi, "YOLO9000", CVPR 2017, section 2 (direct location prediction), and "YOLOv3", 2018, sections 2.1 and
2.2: a box's centre is (sigmoid(t) + cell) / cells, its size the anchor times exp(t), its score objectness times class.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shoestring.device.pipelines.heads.found import Floats, Found, from_centres, join

if TYPE_CHECKING:
    from shoestring.domain.head import Head

_LARGEST_EXPONENT = 30.0  # of a size: e^30 anchors are far beyond every picture, and stay finite in float32


def decode(head: Head, tensors: list[Floats], size: tuple[int, int]) -> Found:
    """Candidates of all grids.

    Args:
        head: of kind `yolo-anchors`.
        tensors: (anchors * (5 + classes), rows, columns) each.
        size: (width, height) of the input, pixels.
    """
    pairs = zip(tensors, head.anchors, strict=True)
    return join([_of_grid(grid, np.array(anchors, np.float32), head, size) for grid, anchors in pairs])


def _of_grid(grid: Floats, anchors: Floats, head: Head, size: tuple[int, int]) -> Found:
    rows, columns = grid.shape[1:]
    values = grid.reshape(len(anchors), 5 + head.classes, rows * columns)
    # Objectness bounds the score, and the sigmoid keeps order: one comparison of logits rules nearly all cells out.
    which, cell = np.nonzero(values[:, 4] >= _logit(head.threshold))
    cells = values[which, :, cell]
    classes = np.argmax(cells[:, 5:], axis=1)
    scores = _sigmoid(cells[:, 4]) * _sigmoid(cells[np.arange(len(cells)), 5 + classes])
    kept = np.flatnonzero(scores >= head.threshold)
    which, cell, cells = which[kept], cell[kept], cells[kept]
    corner = np.stack([cell % columns, cell // columns], axis=1)
    pixels = np.array(size, np.float32)
    centres = (_sigmoid(cells[:, :2]) + corner) * (pixels / np.array([columns, rows], np.float32))
    sizes = anchors[which] * np.exp(np.minimum(cells[:, 2:4], _LARGEST_EXPONENT))
    return from_centres(centres.astype(np.float32), sizes, scores[kept], classes[kept])


def _logit(chance: float) -> float:
    """The value whose sigmoid is `chance`; a shade lower, so that rounding to float32 loses no candidate."""
    if chance <= 0:
        return -math.inf
    if chance >= 1:
        return 15.0  # where the sigmoid of a float32 begins to round to 1
    exact = math.log(chance / (1 - chance))
    return exact - 1e-5 * max(1.0, abs(exact))


def _sigmoid(values: Floats) -> Floats:
    # e^-x of a very negative x is infinite, and its sigmoid rightly 0
    result: Floats = np.reciprocal(1 + np.exp(-values))
    return result
