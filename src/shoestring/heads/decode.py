"""From the flat output of a detector to boxes above a threshold; scores first, and of what cannot reach it no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import EngineFaultError
from shoestring.heads.check import flat_length, part_lengths
from shoestring.heads.found import Found, join, none_found

if TYPE_CHECKING:
    from shoestring.domain.head import Head
    from shoestring.heads.found import Floats

BOX = 5  # centre x, centre y, width, height, objectness
MAX_LOG_SIZE = 10.0
"""Of a box against its anchor: e^10 anchors are wider than any picture, and finite."""


def decode(head: Head, flat: npt.NDArray[Any], size: tuple[int, int], threshold: float | None = None) -> Found:
    """Every box whose best class reaches the threshold, before lesser boxes of the same thing are taken away.

    A box has one class, its best. A score is objectness times the probability of the class where the head has
    both (Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018, section 2.1), else the class's own.

    Args:
        head: how to read it.
        flat: (length,) float32, the head's parts in turn.
        size: (height, width) of the model's input, pixels.
        threshold: 0 to 1; None takes the head's.

    Returns:
        Boxes in the order of the flat output; corners may lie outside 0..1.

    Raises:
        EngineFaultError: another length (`shape`), or values that are no finite numbers (`nan`).
    """
    wanted = flat_length(head)
    if flat.shape != (wanted,):
        words = f"the detector's output has shape {flat.shape}, its head says ({wanted},)"
        raise EngineFaultError(words, "shape", hint="make the bundle again")
    if not np.isfinite(flat).all():
        words = "the detector's output holds NaN or infinity"
        raise EngineFaultError(words, "nan", hint="a model in float16 may overflow")
    least = head.threshold if threshold is None else threshold
    ends = np.cumsum(part_lengths(head))[:-1]
    parts = [piece.reshape(part.shape) for part, piece in zip(head.parts, np.split(flat, ends), strict=True)]
    if head.kind == "yolo-anchors":
        pairs = zip(parts, head.anchors, strict=True)
        return join([_anchors(part, anchors, size, least) for part, anchors in pairs])
    if head.kind == "yolo-v5":
        return _rows(parts[0], size, least)
    if head.kind == "yolo-v8":
        return _columns(parts[0], size, least)
    return _corners(parts[0], parts[1][:, 1:] if head.background else parts[1], least)


def _anchors(
    part: npt.NDArray[Any], anchors: tuple[tuple[float, float], ...], size: tuple[int, int], least: float
) -> Found:
    """Raw logits (anchors * (5 + classes), rows, columns).

    Redmon and Farhadi, 2018, section 2.1: centre = (cell + sigmoid(t)) * stride, size = anchor * exp(t).
    """
    height, width = size
    _, rows, columns = part.shape
    values = part.reshape(len(anchors), -1, rows, columns)
    there = sigmoid(values[:, BOX - 1])
    anchor, row, column = np.nonzero(there >= least)  # a score is at most its objectness
    if len(anchor) == 0:
        return none_found()
    seen = values[anchor, :, row, column].astype(np.float64)
    scores = sigmoid(seen[:, BOX:]) * there[anchor, row, column][:, None]
    middle = (sigmoid(seen[:, :2]) + np.stack([column, row], axis=1)) / (columns, rows)
    prior = np.array(anchors, np.float64)[anchor] / (width, height)
    half = prior * np.exp(np.minimum(seen[:, 2:4], MAX_LOG_SIZE)) / 2
    return _best(np.concatenate([middle - half, middle + half], axis=1), scores, least)


def _rows(rows: npt.NDArray[Any], size: tuple[int, int], least: float) -> Found:
    """(n, 5 + classes) of exports of the YOLOv5 type; a score is at most its objectness."""
    seen = rows[np.flatnonzero(rows[:, BOX - 1] >= least)].astype(np.float64)
    return _centred(seen[:, :4], seen[:, BOX:] * seen[:, BOX - 1 : BOX], size, least)


def _columns(columns: npt.NDArray[Any], size: tuple[int, int], least: float) -> Found:
    """(4 + classes, n) of exports of the YOLOv8 type."""
    there = np.flatnonzero(columns[4:].max(axis=0) >= least)  # class by class, along the memory
    seen = columns[:, there].astype(np.float64).T
    return _centred(seen[:, :4], seen[:, 4:], size, least)


def _corners(corners: npt.NDArray[Any], scores: npt.NDArray[Any], least: float) -> Found:
    """(n, 4) corners in 0..1 and (n, classes) scores of SSD exports, in which prior boxes are worked in.

    Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, section 2.
    """
    there = np.flatnonzero(scores.max(axis=1) >= least)
    return _best(corners[there].astype(np.float64), scores[there].astype(np.float64), least)


def _centred(boxes: Floats, scores: Floats, size: tuple[int, int], least: float) -> Found:
    """Centre x, y, width, height in pixels of the input."""
    height, width = size
    middle, half = boxes[:, :2] / (width, height), boxes[:, 2:4] / (width, height) / 2
    return _best(np.concatenate([middle - half, middle + half], axis=1), scores, least)


def _best(corners: Floats, scores: Floats, least: float) -> Found:
    """The boxes whose best class reaches the threshold."""
    classes = np.argmax(scores, axis=1).astype(np.int64)
    best = scores[np.arange(len(scores)), classes]
    keep = best >= least
    return Found(corners[keep], classes[keep], np.clip(best[keep], 0.0, 1.0))


def sigmoid(logits: npt.NDArray[Any]) -> Floats:
    """1 / (1 + e^-x) in float64, without overflow."""
    exact = np.asarray(logits, np.float64)
    small = np.exp(-np.abs(exact))
    result: Floats = np.where(exact >= 0, 1.0, small) / (1.0 + small)
    return result
