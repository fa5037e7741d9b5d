"""Which part of a picture the model sees: what places found in the model's input become places in the picture by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.domain.preprocess import Preprocess


def resized_size(spec: Preprocess, size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) that `shorter-side` scales a picture to, before the centre is cut out.

    Args:
        spec: with resize `shorter-side`.
        size: (width, height) of the picture, pixels.
    """
    side = spec.resize_to or max(spec.width, spec.height)
    shorter, longer = sorted(size)
    long_side = side * longer // shorter
    return (side, long_side) if size[0] <= size[1] else (long_side, side)


def crop_corner(spec: Preprocess, scaled: tuple[int, int]) -> tuple[int, int]:
    """(left, top) of the centre that is cut out of a scaled picture, pixels; rounded half to even."""
    return round((scaled[0] - spec.width) / 2), round((scaled[1] - spec.height) / 2)


def seen_part(spec: Preprocess, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of what the model sees, in 0..1 of the picture's width and height.

    Args:
        spec: pre-processing.
        size: (width, height) of the picture, pixels.
    """
    if spec.resize != "shorter-side":
        return 0.0, 0.0, 1.0, 1.0
    scaled = resized_size(spec, size)
    left, top = crop_corner(spec, scaled)
    return left / scaled[0], top / scaled[1], (left + spec.width) / scaled[0], (top + spec.height) / scaled[1]
