"""Encoded pictures as frames, decoded no larger than the model needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.device.pipelines.nouns import Frame
from shoestring.device.pipelines.sources.lazy import LazyFrame
from shoestring.inputs.image import decode, probe_upright
from shoestring.inputs.placement import placement

if TYPE_CHECKING:
    from shoestring.domain.preprocess import Preprocess

_JPEG_START = b"\xff\xd8"


def encoded_frame(data: bytes, number: int, at_s: float, name: str, spec: Preprocess | None) -> Frame:
    """A frame of an encoded picture. Of a JPEG only the header is read before somebody looks at the pixels.

    Args:
        data: in one of `inputs.image.FORMATS`.
        number: of the frame.
        at_s: when it arrived, monotonic, s.
        name: of its file, for the frame and for error messages.
        spec: what the model wants; None decodes all pixels.

    Raises:
        DataError: it is not a picture. A JPEG that breaks off raises it when its pixels are looked at.
    """
    if not data.startswith(_JPEG_START):  # only JPEG tells early how it is turned, and is worth decoding smaller
        picture = decode(data, name or "frame")
        return Frame(number, at_s, np.asarray(picture), picture.size, name)
    size = probe_upright(data, name or "frame")
    need = None if spec is None else needed(size, spec)
    return LazyFrame(number, at_s, size, name, lambda: np.asarray(decode(data, name or "frame", need)))


def needed(size: tuple[int, int], spec: Preprocess) -> tuple[int, int] | None:
    """(width, height) that a picture of `size` must keep for a model; None where it must stay as it is."""
    if spec.resize == "none":
        return None
    place = placement(size, spec)
    return place.width, place.height
