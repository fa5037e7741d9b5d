"""A batch of flat outputs taken apart into what measures boxes and what measures scores, each on a scale of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.outputs import divergence, relative_error
from shoestring.heads.check import part_lengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.domain.head import Head

Array = npt.NDArray[Any]

BOXES = 4


def pieces(head: Head, flat: Array) -> list[Array]:
    """Boxes and scores of every part, so that a distance between outputs counts each alike.

    Args:
        head: of the detector.
        flat: (n, length).

    Returns:
        Arrays whose first axis is n.
    """
    found: list[Array] = []
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


def distance(head: Head | None, references: Sequence[Array], values: Sequence[Array]) -> float:
    """How far a model's outputs lie from the original's.

    Args:
        head: of a detector, whose one output is compared by its pieces; None for any other model.
        references: every output of the original, batch first.
        values: likewise.

    Raises:
        EngineError: as `base.outputs.divergence`.
    """
    if head is None:
        return divergence(references, values)
    return relative_error(pieces(head, references[0]), pieces(head, values[0]))
