"""Pixels for a second model: the same image at another size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image

from shoestring.inputs.image import Pixels, pixels

if TYPE_CHECKING:
    from shoestring.domain.preprocess import Preprocess


def resized(spec: Preprocess, height: int, width: int, layout: str, dtype: str) -> Preprocess:
    """`spec` for a model of another size: the same colours and scale, stretched from the pixels that `spec` gives."""
    return replace(
        spec,
        height=height,
        width=width,
        resize="stretch",
        resize_to=None,
        layout=layout,
        dtype=dtype,
    )


def rescale(image: Pixels, source: Preprocess, target: Preprocess) -> Pixels:
    """Pixels of `target` from those of `source`; the workshop and the device run this same code.

    Args:
        image: (source.height, source.width, channels), colours in the order of `source`.
        source: that made `image`.
        target: made by `resized` from `source`, so its colours have the same order.

    Returns:
        (target.height, target.width, channels).
    """
    if (source.height, source.width) == (target.height, target.width):
        return image
    # The order of the channels is kept, so to the resampler they may pass for RGB.
    plain = replace(target, colour="grey" if target.colour == "grey" else "rgb")
    grey = image.shape[2] == 1
    return pixels(Image.fromarray(image[:, :, 0] if grey else image), plain)
