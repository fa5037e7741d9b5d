"""Whether two images are the same picture, though one lies in a PNG here and the other in an .npz there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.canonical import sha256_hex

if TYPE_CHECKING:
    from shoestring.evaluate.dataset import Dataset


def identities(dataset: Dataset, index: int) -> tuple[str, str]:
    """SHA-256 of the image as it is stored, and of its decoded pixels. A resized or recompressed copy has neither.

    Raises:
        DataError: the image is broken or has changed.
    """
    pixels = np.ascontiguousarray(np.asarray(dataset.image(index)))
    return dataset.hashes[index], sha256_hex(pixels.tobytes())


def seen_before(dataset: Dataset, indices: Sequence[int], hashes: Collection[str]) -> tuple[int, ...]:
    """Those of `indices` whose image is among `hashes`, which `trained_on` gives. Raises DataError."""
    if not hashes:
        return ()
    return tuple(index for index in indices if not set(identities(dataset, index)).isdisjoint(hashes))
