"""Intersection over union of many boxes at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def overlaps(one: Array, other: Array) -> Array:
    """(n, m) of (n, 4) and (m, 4) corners, 0 to 1; boxes without an area overlap nothing."""
    a, b = one[:, None].astype(np.float64), other[None].astype(np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    sides = np.maximum(sides, 0)
    inner = sides[..., 0] * sides[..., 1]
    union = areas(one)[:, None] + areas(other)[None] - inner
    result: Array = np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)
    return result


def areas(corners: Array) -> Array:
    """(n,) of (n, 4) corners."""
    sides = np.maximum(corners[:, 2:].astype(np.float64) - corners[:, :2], 0)
    result: Array = sides[:, 0] * sides[:, 1]
    return result
