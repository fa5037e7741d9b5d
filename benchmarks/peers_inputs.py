"""The same images for every peer: pixels on disk, turned into model inputs as they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.inputs.image import tensor
from shoestring.inputs.spec import load_preprocess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shoestring.domain.preprocess import Preprocess
    from shoestring.evaluate.dataset import Dataset

BATCH = 16
"""Examples a run where the model leaves the batch free; the fit scores with as many."""


def store_pixels(path: Path, dataset: Dataset, indices: Sequence[int], spec: Preprocess) -> None:
    """Write uint8 pixels (n, height, width, channels) of these images to a new .npy, one batch in memory at a time."""
    shape = (len(indices), spec.height, spec.width, spec.channels)
    stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    done = 0
    for pixels in dataset.batches(indices, spec, BATCH):
        stored[done : done + len(pixels)] = pixels
        done += len(pixels)
    stored.flush()


def fill_batch(batch: np.ndarray[Any, Any], fixed: int | None) -> np.ndarray[Any, Any]:
    """`batch`, or its last example repeated until there are as many as a model with a fixed batch takes."""
    if fixed is None or len(batch) == fixed:
        return batch
    return np.concatenate([batch, np.repeat(batch[-1:], fixed - len(batch), axis=0)])


class Inputs:
    """Inputs of one split, as one of the peers takes them.

    Args:
        request: what the peer was asked: `preprocess`, `input` and `batch` (None: free).
        split: key of the split's pixels in the request.
    """

    def __init__(self, request: dict[str, Any], split: str) -> None:
        self._pixels = np.load(request[split], mmap_mode="r")
        self._spec = load_preprocess(Path(request["preprocess"]))
        self._name = request["input"]
        self.fixed = request["batch"]

    def __len__(self) -> int:
        return len(self._pixels)

    def feed(self, indices: Sequence[int]) -> dict[str, np.ndarray[Any, Any]]:
        """One run's inputs."""
        return {self._name: fill_batch(tensor(self._pixels[list(indices)], self._spec), self.fixed)}

    def feeds(self) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
        """The whole split, one example a run, or as many as a fixed batch takes."""
        step = self.fixed or 1
        for start in range(0, len(self), step):
            yield self.feed(range(start, min(start + step, len(self))))
