"""What a head found, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """Candidates of one picture.

    Args:
        corners: (n, 4) left, top, right, bottom, in pixels of the model's input.
        scores: (n,) 0 to 1.
        classes: (n,) numbers of classes.
    """

    corners: Floats
    scores: Floats
    classes: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, places: npt.NDArray[np.intp]) -> Found:
        """Some of them, in the order of `places`."""
        return Found(self.corners[places], self.scores[places], self.classes[places])


def from_centres(centres: Floats, sizes: Floats, scores: Floats, classes: npt.NDArray[np.intp]) -> Found:
    """Candidates given by their centre and size, (n, 2) each, pixels."""
    half = sizes / 2
    return Found(np.concatenate([centres - half, centres + half], axis=1), scores, classes)


def join(parts: list[Found]) -> Found:
    """Candidates of several tensors as one."""
    return Found(
        np.concatenate([part.corners for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.classes for part in parts]),
    )
