"""From one flat vector to the boxes of a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import EngineError, EngineFaultError
from shoestring.device.pipelines.heads import ssd, yolo_anchors, yolo_flat
from shoestring.device.pipelines.heads.found import Floats, Found
from shoestring.device.pipelines.nms import suppress
from shoestring.device.pipelines.nouns import Box
from shoestring.inputs.placement import placement

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.domain.head import Head
    from shoestring.domain.preprocess import Preprocess

    Decoder = Callable[[Head, list[Floats], tuple[int, int]], Found]

_DECODERS: dict[str, Decoder] = {
    "yolo-anchors": yolo_anchors.decode,
    "yolo-v5": yolo_flat.decode_v5,
    "yolo-v8": yolo_flat.decode_v8,
    "ssd": ssd.decode,
}


def decode(head: Head, flat: Floats, size: tuple[int, int]) -> Found:
    """Every candidate whose best class reaches the threshold, none suppressed yet.

    Args:
        head: how to read the output.
        flat: float32 vector that holds all tensors in turn.
        size: (width, height) of the model's input, pixels.

    Returns:
        In the order of the output.

    Raises:
        EngineFaultError: the output has another length (`shape`), or is not a number where it was looked at (`nan`).
        EngineError: the head's kind is unknown.
    """
    if head.kind not in _DECODERS:
        raise EngineError(f"head kind {head.kind!r} is not one of {', '.join(_DECODERS)}", hint="make the bundle again")
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is told as an error, not as a warning
        found = _DECODERS[head.kind](head, _tensors(head, flat), size)
    if not (np.isfinite(found.corners).all() and np.isfinite(found.scores).all()):
        raise EngineFaultError("a box that the model found is not a finite number", "nan", hint="take another rung")
    return found


def detect(
    head: Head, flat: Floats, spec: Preprocess, size: tuple[int, int], labels: tuple[str, ...]
) -> tuple[Box, ...]:
    """The boxes of one picture, best first.

    Args:
        head: how to read the output.
        flat: float32 vector that holds all tensors in turn.
        spec: that made the input out of the picture.
        size: (width, height) of the picture, pixels, as it was given to `spec` or in the same proportion.
        labels: class names in order; may be shorter.

    Returns:
        After suppression within each class, in 0..1 of the whole picture and cut off at its edges. A box that lies
        outside of the picture, on a bar, is left out.

    Raises:
        EngineFaultError, EngineError: as `decode`.
    """
    found = decode(head, flat, (spec.width, spec.height))
    found = found.take(suppress(found, head.overlap))
    place = placement(size, spec)
    offset = np.array([place.left, place.top] * 2, np.float32)
    corners = (found.corners - offset) / np.array([place.width, place.height] * 2, np.float32)
    corners = np.clip(corners, 0, 1)
    seen = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
    return tuple(
        Box(left, top, right, bottom, index, labels[index] if index < len(labels) else str(index), score)
        for (left, top, right, bottom), index, score in zip(
            corners[seen].tolist(), found.classes[seen].tolist(), found.scores[seen].tolist(), strict=True
        )
    )


def _tensors(head: Head, flat: Floats) -> list[Floats]:
    sizes = [math.prod(part.shape) for part in head.parts]
    if flat.ndim != 1 or flat.size != sum(sizes):
        raise EngineFaultError(
            f"the model answers {flat.shape}, its head has ({sum(sizes)},)", "shape", hint="make the bundle again"
        )
    # A sum is not a number as soon as one value is not; infinities of both signs are as broken.
    if math.isnan(float(np.add.reduce(flat))):
        raise EngineFaultError("the model's output is not a number", "nan", hint="take another rung")
    ends = np.cumsum(sizes)
    return [flat[end - size : end].reshape(part.shape) for part, size, end in zip(head.parts, sizes, ends, strict=True)]
