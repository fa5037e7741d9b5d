"""Motion gate: while nothing moves, the last answer still holds and the model may rest.

A frame is compared with the one that the model answered last, so that slow motion adds up until it shows. The picture
is cut into blocks; the mean of a block's green pixels hardly feels the sensor's noise but moves with what is in it.
What all blocks share, a passing cloud or the camera's exposure, is taken off by their median. The threshold follows the
noise that the picture shows, estimated by the median absolute deviation (Hampel, "The Influence Curve and its Role in
Robust Estimation", JASA 1974), which motion in less than half of the blocks leaves alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from shoestring.inputs.image import Pixels

_GREEN = 1
_MOST_IN_16_BITS = 257  # values of 255
_MAD_TO_SIGMA = 1.4826  # of a normal distribution


@dataclass(frozen=True)
class Gating:
    """When the gate opens.

    Args:
        blocks: along the longer side of the picture; a thing of half a block or more is seen.
        least_change: a block that changes by less never counts, grey levels of 255.
        noise_factor: a block counts when it changes by so many standard deviations of the noise.
        force_s: the model runs after so long even if nothing moves, s.
    """

    blocks: int = 48
    least_change: float = 4.0
    noise_factor: float = 6.0
    force_s: float = 2.0


class MotionGate:
    """Tells whether a frame may be answered with what was found before.

    Args:
        gating: when the gate opens.
    """

    def __init__(self, gating: Gating | None = None) -> None:
        self._how = gating or Gating()
        self._reference: npt.NDArray[np.float32] | None = None
        self._asked_s = 0.0
        self._last: npt.NDArray[np.float32] | None = None

    def still(self, pixels: Pixels, at_s: float) -> bool:
        """Whether nothing moved since the frame that the model answered last.

        Args:
            pixels: (height, width, 3).
            at_s: when the frame arrived, monotonic, s.
        """
        blocks = self._last = block_means(pixels, self._how.blocks)
        if self._reference is None or self._reference.shape != blocks.shape:
            return False
        if at_s - self._asked_s >= self._how.force_s:
            return False
        change = blocks - self._reference
        change -= np.median(change)
        sizes = np.abs(change)
        noise = _MAD_TO_SIGMA * float(np.median(sizes))
        return bool(sizes.max() < max(self._how.least_change, self._how.noise_factor * noise))

    def asked(self, at_s: float) -> None:
        """The model is asked about the frame that `still` saw last: it is what later frames are compared with."""
        self._reference, self._asked_s = self._last, at_s


def block_means(pixels: Pixels, blocks: int) -> npt.NDArray[np.float32]:
    """(rows, columns) means of green, in blocks of one size from the upper left; what does not fill one is left out.

    Of large pictures every second, third ... row and column is looked at: 8 x 8 values are enough for a mean.

    Args:
        pixels: (height, width, 3).
        blocks: along the longer side, at least 1; fewer where the picture has not as many pixels.
    """
    height, width = pixels.shape[:2]
    side = max(1, max(height, width) // blocks)
    step = max(1, side // 8)
    across = min(side // step, *(max(1, length // step) for length in (height, width)))
    green = np.ascontiguousarray(pixels[::step, ::step, _GREEN])
    rows, columns = green.shape[0] // across, green.shape[1] // across
    cut = green[: rows * across, : columns * across].reshape(rows, across, columns, across)
    # Down the columns first, along the memory, and in 16 bits: so it takes a quarter of the time of numpy's mean.
    sums = cut.sum(axis=1, dtype=np.uint16 if across <= _MOST_IN_16_BITS else np.uint32).sum(axis=2, dtype=np.uint32)
    means: npt.NDArray[np.float32] = (sums / np.float32(across * across)).astype(np.float32)
    return means
