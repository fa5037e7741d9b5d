"""From the flat output of a detector to boxes above a threshold. Plain, and the meaning of every kind of head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import EngineError
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
        EngineError: another length, or values that are no finite numbers.
    """
    wanted = flat_length(head)
    if flat.shape != (wanted,):
        raise EngineError(f"the detector's output has shape {flat.shape}, its head says ({wanted},)")
    if not np.isfinite(flat).all():
        raise EngineError("the detector's output holds NaN or infinity", hint="a model in float16 may overflow")
    least = head.threshold if threshold is None else threshold
    ends = np.cumsum(part_lengths(head))[:-1]
    parts = [piece.reshape(part.shape) for part, piece in zip(head.parts, np.split(flat, ends), strict=True)]
    if head.kind == "yolo-anchors":
        pairs = zip(parts, head.anchors, strict=True)
        return join([_anchors(part, anchors, size, least) for part, anchors in pairs])
    if head.kind == "yolo-v5":
        rows = parts[0].astype(np.float64)
        return _centred(rows[:, :4], rows[:, BOX:] * rows[:, BOX - 1 : BOX], size, least)
    if head.kind == "yolo-v8":
        rows = parts[0].astype(np.float64).T
        return _centred(rows[:, :4], rows[:, 4:], size, least)
    scores = parts[1][:, 1:] if head.background else parts[1]
    return _best(parts[0].astype(np.float64), scores.astype(np.float64), least)


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
