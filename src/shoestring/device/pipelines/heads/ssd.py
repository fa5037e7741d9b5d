"""Outputs of SSD exports: corners and probabilities for every prior box.

Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, section 2; the offsets from the prior boxes are applied
within the exported graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.device.pipelines.heads.found import Floats, Found

if TYPE_CHECKING:
    from shoestring.domain.head import Head


def decode(head: Head, tensors: list[Floats], size: tuple[int, int]) -> Found:
    """Candidates of (n, 4) corners in 0..1 and (n, classes) probabilities, a background column left out.

    Args:
        head: of kind `ssd`.
        tensors: corners and scores.
        size: (width, height) of the input, pixels.
    """
    corners, scores = tensors
    scores = scores[:, 1:] if head.background else scores
    best = scores.max(axis=1)
    kept = np.flatnonzero(best >= head.threshold)
    width, height = size
    pixels = corners[kept] * np.array([width, height, width, height], np.float32)
    return Found(pixels, best[kept], np.argmax(scores[kept], axis=1))
