"""Second moments of a layer's inputs, in the quantized network and against the float one.

For rows w of the weight matrix and inputs x the error of rounded rows is (w - q) H (w - q)^T, H the covariance of x. It
is centred: what the mean of x makes of the error is a constant, and the bias takes it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.rounding.columns import Window, image_columns, sample_positions

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = npt.NDArray[Any]
POSITIONS = 128  # of an image and layer: neighbours say little new
DEPTHWISE_POSITIONS = 64  # nine weights a channel need fewer
SEED = 0


@dataclass(frozen=True)
class Moments:
    """Of a layer's inputs, for each group of channels.

    Args:
        covariance: (groups, k, k), of the inputs that the quantized network gives this layer.
        drift: (groups, k, k), covariance of (float inputs - those) with those.
        samples: columns that were looked at.
    """

    covariance: Array
    drift: Array
    samples: int


def moments(found: list[Array], wanted: list[Array], window: Window | None) -> Moments:
    """Centred second moments.

    Args:
        found: the layer's inputs in the quantized network, one array a batch: (n, channels, height, width) for a
            convolution, (..., k) for a matrix product.
        wanted: the same in the float network.
        window: of the convolution, or None.
    """
    count = 0
    total_x, total_d, square, cross = (np.zeros(()) for _ in range(4))
    for x, d in _columns(found, wanted, window):
        count += x.shape[2]
        total_x = total_x + x.sum(axis=2, dtype=np.float64)
        total_d = total_d + d.sum(axis=2, dtype=np.float64)
        turned = x.transpose(0, 2, 1)
        square = square + (x @ turned).astype(np.float64)
        cross = cross + (d @ turned).astype(np.float64)
    mean_x, mean_d = total_x / count, total_d / count
    return Moments(
        covariance=square / count - mean_x[:, :, None] * mean_x[:, None, :],
        drift=cross / count - mean_d[:, :, None] * mean_x[:, None, :],
        samples=count,
    )


def _columns(found: list[Array], wanted: list[Array], window: Window | None) -> Iterator[tuple[Array, Array]]:
    """Pairs of (groups, k, samples): the quantized network's inputs, and how far the float network's lie from them."""
    rng = np.random.default_rng(SEED)
    for x, y in zip(found, wanted, strict=True):
        if window is None:
            rows = np.ascontiguousarray(x.reshape(-1, x.shape[-1]).T)[None]
            yield rows, np.ascontiguousarray(y.reshape(-1, y.shape[-1]).T)[None] - rows
            continue
        most = DEPTHWISE_POSITIONS if window.groups == x.shape[1] else POSITIONS
        pairs = []
        for image, target in zip(x, y, strict=True):
            positions = sample_positions(window, image.shape[1], image.shape[2], most, rng)
            pairs.append((image_columns(image, window, positions), image_columns(target, window, positions)))
        if window.groups > 1:  # few rows a group: one image at a time keeps the copies small
            yield from ((a, b - a) for a, b in pairs)
            continue
        columns = np.concatenate([a for a, _ in pairs], axis=2)
        yield columns, np.concatenate([b for _, b in pairs], axis=2) - columns
