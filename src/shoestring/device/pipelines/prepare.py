"""From a frame to the pixels that a model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from shoestring.base.errors import MissingExtraError, UsageError
from shoestring.inputs.image import Pixels, pixels
from shoestring.inputs.placement import BAR, placement

if TYPE_CHECKING:
    from types import ModuleType

    from shoestring.domain.preprocess import Preprocess

RESIZERS = ("certified", "fast")
"""`certified`: the filter that the certificate was earned with; `fast`: OpenCV, by whole blocks and then bilinear."""


def opencv() -> ModuleType:
    """The module cv2. Raises MissingExtraError when OpenCV is not installed."""
    try:
        import cv2
    except ImportError:
        raise MissingExtraError("opencv-python-headless", "video") from None
    return cv2


def prepare(picture: Pixels, spec: Preprocess, resizer: str = "certified") -> Pixels:
    """The model's pixels of a picture.

    Args:
        picture: (height, width, 3) RGB.
        spec: what the model wants.
        resizer: one of RESIZERS. `fast` takes another filter than the one that was certified, and pays only where
            resizing is a large part of the work.

    Returns:
        (spec.height, spec.width, spec.channels), colours in the order of spec.colour.

    Raises:
        UsageError: an unknown resizer.
        DataError: as `inputs.image.pixels`.
        MissingExtraError: `fast` without OpenCV.
    """
    if resizer not in RESIZERS:
        raise UsageError(f"resizer {resizer!r} is not one of {', '.join(RESIZERS)}")
    if resizer == "certified" or spec.resize == "none":
        return pixels(Image.fromarray(picture), spec, "frame")
    return _fast(picture, spec)


def _fast(picture: Pixels, spec: Preprocess) -> Pixels:
    cv2 = opencv()
    place = placement((picture.shape[1], picture.shape[0]), spec)
    # Bilinear samples alias when they skip pixels: what is more than twice too large is averaged in blocks first.
    blocks = min(picture.shape[1] // place.width, picture.shape[0] // place.height)
    if blocks >= 2:
        height, width = (length // blocks for length in picture.shape[:2])
        cut = picture[: height * blocks, : width * blocks]
        picture = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
    resized = cv2.resize(picture, (place.width, place.height), interpolation=cv2.INTER_LINEAR)
    if spec.colour == "grey":
        resized = cv2.cvtColor(resized, cv2.COLOR_RGB2GRAY)[:, :, None]
    elif spec.colour == "bgr":
        resized = cv2.cvtColor(resized, cv2.COLOR_RGB2BGR)
    if (place.left, place.top, place.width, place.height) == (0, 0, spec.width, spec.height):
        return np.asarray(resized)
    canvas = np.full((spec.height, spec.width, spec.channels), BAR, np.uint8)
    top, left = max(place.top, 0), max(place.left, 0)
    inside = resized[max(-place.top, 0) :, max(-place.left, 0) :][: spec.height - top, : spec.width - left]
    canvas[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return canvas
