"""Non-maximum suppression within each class: of boxes that lie on one thing, the best stays.

Greedy, as Felzenszwalb et al., "Object Detection with Discriminatively Trained Part-Based Models", TPAMI 2010, section
3.5; Girshick's R-CNN (CVPR 2014) measures the overlap by intersection over union.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from shoestring.device.pipelines.overlaps import overlaps

if TYPE_CHECKING:
    from shoestring.device.pipelines.heads.found import Found

MOST_CANDIDATES = 1000
"""The best so many are compared; a sane model at a sane threshold gives a few hundred at most."""


def suppress(found: Found, overlap: float) -> npt.NDArray[np.intp]:
    """Places of the candidates that stay, best first; of equal scores the earlier comes first.

    Args:
        found: candidates of one picture.
        overlap: intersection over union above which the lesser of two boxes of one class goes, 0 to 1.
    """
    order = np.argsort(-found.scores, kind="stable")[:MOST_CANDIDATES]
    corners, classes = found.corners[order], found.classes[order]
    left = np.arange(len(order))
    kept = []
    while len(left):  # a row of overlaps at a time: a board need not hold those of all pairs
        best, left = left[0], left[1:]
        kept.append(best)
        clear = overlaps(corners[best : best + 1], corners[left])[0] <= overlap
        left = left[clear | (classes[left] != classes[best])]
    result: npt.NDArray[np.intp] = order[np.array(kept, np.intp)]
    return result
