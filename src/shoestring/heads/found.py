"""Boxes as arrays, and how much two of them overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """Boxes in one picture, all in one order.

    Args:
        corners: (n, 4) left, top, right, bottom, as fractions of the model input's width and height.
        classes: (n,) index of each box's class.
        scores: (n,) 0 to 1.
    """

    corners: Floats
    classes: Ints
    scores: Floats

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, which: npt.NDArray[Any]) -> Found:
        """Those that an index or a mask picks, in its order."""
        return Found(self.corners[which], self.classes[which], self.scores[which])


def none_found() -> Found:
    """No box."""
    return Found(np.empty((0, 4)), np.empty(0, np.int64), np.empty(0))


def join(parts: list[Found]) -> Found:
    """All boxes, one list after the other."""
    if not parts:
        return none_found()
    return Found(
        np.concatenate([part.corners for part in parts]),
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def overlaps(one: Floats, other: Floats) -> Floats:
    """Intersection over union of every pair; boxes without area overlap nothing.

    Args:
        one: (n, 4) corners.
        other: (m, 4) corners.

    Returns:
        (n, m), 0 to 1.
    """
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    result: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return result
