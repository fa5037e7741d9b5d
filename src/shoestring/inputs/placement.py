"""Where a picture comes to lie in the model's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.domain.preprocess import Preprocess

BAR = 128
"""Grey of the bars beside a letterboxed picture: Darknet's 0.5 of 255 (darknet/src/image.c, `letterbox_image`)."""


@dataclass(frozen=True)
class Placement:
    """The resized picture, before a crop, in pixels of the model's input.

    Args:
        left, top: of its corner; below zero where a crop cuts it off.
        width, height: at least 1.
    """

    left: int
    top: int
    width: int
    height: int


def placement(size: tuple[int, int], spec: Preprocess) -> Placement:
    """How `inputs.image.pixels` lays a picture out.

    `shorter-side` rounds as torchvision does: the longer side is cut to a whole pixel, the crop offset is rounded half
    to even (torchvision.transforms.functional, `resize` and `center_crop`). `letterbox` rounds both sides half to even
    and cuts the offset to a whole pixel.

    Args:
        size: (width, height) of the picture, pixels, above zero.
        spec: what the model wants.
    """
    width, height = size
    if spec.resize == "shorter-side":
        side = spec.resize_to or max(spec.width, spec.height)
        longer = side * max(size) // min(size)
        new_width, new_height = (side, longer) if width <= height else (longer, side)
        return Placement(
            -round((new_width - spec.width) / 2), -round((new_height - spec.height) / 2), new_width, new_height
        )
    if spec.resize == "letterbox":
        scale = min(spec.width / width, spec.height / height)
        new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
        return Placement((spec.width - new_width) // 2, (spec.height - new_height) // 2, new_width, new_height)
    return Placement(0, 0, spec.width, spec.height)
