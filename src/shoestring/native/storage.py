"""Where the elements of a value lie: rows of pixels of channels, with a pitch and, around images, a border."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.native.form import Pads, Value

CHANNEL_STEP = 16
"""Channels are padded to a multiple of this, the widest vector of floats."""
NARROW = 4
"""Up to so many channels are padded to four: what one dot product takes."""


def pitch_of(channels: int) -> int:
    """Elements from one pixel to the next."""
    return NARROW if channels <= NARROW else -(-channels // CHANNEL_STEP) * CHANNEL_STEP


@dataclass(frozen=True)
class Storage:
    """Layout of one value.

    Args:
        height, width, channels: of the image; other values are one row of pixels whose channels are the last axis.
        element_bytes: 1 or 4.
        image: the value's axes are 1, C, H, W; else they are in storage order.
        shape: of the value.
        border: top, left, bottom, right; rows and columns around the image that hold zero.
        pitch: elements from one pixel to the next.
    """

    height: int
    width: int
    channels: int
    element_bytes: int
    image: bool
    shape: tuple[int, ...]
    border: Pads
    pitch: int

    @property
    def row(self) -> int:
        """Elements from one row to the next."""
        return (self.width + self.border[1] + self.border[3]) * self.pitch

    @property
    def rows(self) -> int:
        return self.height + self.border[0] + self.border[2]

    @property
    def bytes(self) -> int:
        return self.rows * self.row * self.element_bytes

    @property
    def first(self) -> int:
        """Elements before the image's first one."""
        return self.border[0] * self.row + self.border[1] * self.pitch

    def strides(self) -> tuple[int, ...]:
        """Elements from one index to the next on every axis of the value; 0 on axes of length 1."""
        if self.image:
            found = [0, 1, self.row, self.pitch]
        else:
            found, step = [], self.pitch
            for length in reversed(self.shape[:-1]):
                found.insert(0, step)
                step *= length
            found += [1] if self.shape else []
        return tuple(stride if length > 1 else 0 for stride, length in zip(found, self.shape, strict=True))


def storage_of(value: Value, border: Pads = (0, 0, 0, 0)) -> Storage:
    """Layout of a value inside the program."""
    element_bytes = 1 if value.kind == "i8" else 4
    shape = value.shape
    if len(shape) == 4 and shape[0] == 1:
        channels, height, width = shape[1:]
        return Storage(height, width, channels, element_bytes, True, shape, border, pitch_of(channels))
    channels = shape[-1] if shape else 1
    width = max(1, value.count // max(1, channels))
    return Storage(1, width, channels, element_bytes, False, shape, border, pitch_of(channels))
