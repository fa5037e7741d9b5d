"""Outputs of YOLOv5-type and YOLOv8-type exports, in which boxes and probabilities are worked out already.

The layouts are those of Ultralytics' ONNX exports: YOLOv5 gives (n, 5 + classes) rows with an objectness, YOLOv8 the
transposed (4 + classes, n) without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.device.pipelines.heads.found import Floats, Found, from_centres

if TYPE_CHECKING:
    from shoestring.domain.head import Head


def decode_v5(head: Head, tensors: list[Floats], size: tuple[int, int]) -> Found:
    """Candidates of one (n, 5 + classes) tensor; the score is objectness times class."""
    (rows,) = tensors
    rows = rows[np.flatnonzero(rows[:, 4] >= head.threshold)]
    classes = np.argmax(rows[:, 5:], axis=1)
    scores = rows[:, 4] * rows[np.arange(len(rows)), 5 + classes]
    kept = np.flatnonzero(scores >= head.threshold)
    return from_centres(rows[kept, :2], rows[kept, 2:4], scores[kept], classes[kept])


def decode_v8(head: Head, tensors: list[Floats], size: tuple[int, int]) -> Found:
    """Candidates of one (4 + classes, n) tensor; the score is the best class's."""
    (columns,) = tensors
    best = columns[4:].max(axis=0)  # class by class along the memory; only its winners are looked at more closely
    kept = np.flatnonzero(best >= head.threshold)
    classes = np.argmax(columns[4:, kept], axis=0)
    return from_centres(columns[:2, kept].T, columns[2:4, kept].T, best[kept], classes)
