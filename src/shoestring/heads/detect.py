"""The whole way from a flat output to the boxes that a person is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.heads.decode import decode
from shoestring.heads.found import Found
from shoestring.heads.suppress import suppress

if TYPE_CHECKING:
    from shoestring.domain.head import Head


def detect(head: Head, flat: npt.NDArray[Any], size: tuple[int, int], threshold: float | None = None) -> Found:
    """Boxes of one picture, best first, cut at its edges.

    Args:
        head: how to read it.
        flat: (length,) float32.
        size: (height, width) of the model's input, pixels.
        threshold: 0 to 1; None takes the head's.

    Raises:
        EngineError: as `decode`.
    """
    kept = suppress(decode(head, flat, size, threshold), head.overlap)
    return Found(np.clip(kept.corners, 0.0, 1.0), kept.classes, kept.scores)
