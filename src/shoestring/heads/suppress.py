"""Non-maximum suppression, class by class: of boxes that overlap, the one with the highest score stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.heads.found import overlaps

if TYPE_CHECKING:
    from shoestring.heads.found import Found

MAX_CANDIDATES = 1_000
"""Boxes looked at, the best first: more than a picture shows, and what keeps a broken model from taking seconds."""


def suppress(found: Found, overlap: float) -> Found:
    """The boxes that no better one of the same class overlaps by more than `overlap`, best first.

    Greedy, as in Felzenszwalb et al., "Object Detection with Discriminatively Trained Part-Based Models", PAMI 2010,
    section 3.3.2. Of equal scores the earlier box comes first.

    Args:
        found: in any order.
        overlap: intersection over union, 0 to 1.
    """
    order = np.argsort(-found.scores, kind="stable")[:MAX_CANDIDATES]
    left = found.take(order)
    kept: list[int] = []
    alive = np.ones(len(left), dtype=bool)
    for place in range(len(left)):
        if not alive[place]:
            continue
        kept.append(place)
        rest = place + 1 + np.flatnonzero(alive[place + 1 :] & (left.classes[place + 1 :] == left.classes[place]))
        if len(rest):
            alive[rest] = overlaps(left.corners[place : place + 1], left.corners[rest])[0] <= overlap
    return left.take(np.array(kept, np.int64))
