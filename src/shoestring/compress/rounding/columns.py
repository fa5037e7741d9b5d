"""A sample of the columns that a layer multiplies its weights with: what im2col would give, at a few positions only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.graph import attribute

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Window:
    """A 2-D convolution's geometry.

    Args:
        groups: of channels.
        kernel: height and width.
        strides, dilations: vertical and horizontal.
        pads: top, left, bottom, right.
    """

    groups: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]

    @staticmethod
    def of(node: onnx.NodeProto, weight: Array) -> Window | None:
        """The window of a Conv with weights (out, in / groups, height, width); None unless explicit and 2-D."""
        automatic = attribute(node, "auto_pad", b"NOTSET")
        if weight.ndim != 4 or automatic not in (b"NOTSET", b"VALID"):
            return None
        strides, dilations = attribute(node, "strides", [1, 1]), attribute(node, "dilations", [1, 1])
        pads = [0, 0, 0, 0] if automatic == b"VALID" else attribute(node, "pads", [0, 0, 0, 0])
        return Window(
            int(attribute(node, "group", 1)),
            (weight.shape[2], weight.shape[3]),
            (int(strides[0]), int(strides[1])),
            (int(dilations[0]), int(dilations[1])),
            (int(pads[0]), int(pads[1]), int(pads[2]), int(pads[3])),
        )

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the result for an input of this size."""
        top, left, bottom, right = self.pads
        rows = (height + top + bottom - self.dilations[0] * (self.kernel[0] - 1) - 1) // self.strides[0] + 1
        columns = (width + left + right - self.dilations[1] * (self.kernel[1] - 1) - 1) // self.strides[1] + 1
        return rows, columns


def image_columns(image: Array, window: Window, positions: Array) -> Array:
    """What the kernel sees at these positions.

    Args:
        image: (channels, height, width).
        window: geometry.
        positions: (p,), flat indices into the output's rows and columns.

    Returns:
        (groups, channels / groups * kernel height * kernel width, p), rows in the order of the flattened weights.
    """
    channels, height, width = image.shape
    columns = window.output_size(height, width)[1]
    top = positions // columns * window.strides[0] - window.pads[0]
    left = positions % columns * window.strides[1] - window.pads[1]
    flat = image.reshape(channels, height * width)
    found = np.empty((channels, window.kernel[0] * window.kernel[1], len(positions)), dtype=image.dtype)
    for tap in range(found.shape[1]):
        y = top + tap // window.kernel[1] * window.dilations[0]
        x = left + tap % window.kernel[1] * window.dilations[1]
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        found[:, tap] = np.take(flat, np.where(inside, y * width + x, 0), axis=1)
        if not inside.all():
            found[:, tap, ~inside] = 0
    return found.reshape(window.groups, -1, len(positions))


def sample_positions(window: Window, height: int, width: int, most: int, rng: np.random.Generator) -> Array:
    """At most `most` positions of the output, ascending, each at most once."""
    rows, columns = window.output_size(height, width)
    count = rows * columns
    return np.arange(count) if count <= most else np.sort(rng.choice(count, most, replace=False))
