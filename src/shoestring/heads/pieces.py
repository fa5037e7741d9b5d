"""A batch of flat outputs taken apart into what measures boxes and what measures scores, each on a scale of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.heads.check import part_lengths

if TYPE_CHECKING:
    from shoestring.domain.head import Head

BOXES = 4


def pieces(head: Head, flat: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Boxes and scores of every part, so that a distance between outputs counts each alike.

    Args:
        head: of the detector.
        flat: (n, length).

    Returns:
        Arrays whose first axis is n.
    """
    found: list[npt.NDArray[Any]] = []
    ends = np.cumsum(part_lengths(head))[:-1]
    for place, (part, values) in enumerate(zip(head.parts, np.split(flat, ends, axis=1), strict=True)):
        whole = values.reshape(len(flat), *part.shape)
        if head.kind == "ssd":
            found.append(whole)
            continue
        if head.kind == "yolo-anchors":
            _, rows, columns = part.shape
            whole = whole.reshape(len(flat), len(head.anchors[place]), -1, rows, columns)
            found += [whole[:, :, :BOXES], whole[:, :, BOXES:]]
        elif head.kind == "yolo-v5":
            found += [whole[:, :, :BOXES], whole[:, :, BOXES:]]
        else:
            found += [whole[:, :BOXES], whole[:, BOXES:]]
    return found
