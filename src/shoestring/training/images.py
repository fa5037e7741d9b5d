"""Which images a student may learn from: never one that a later certificate rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoestring.base.errors import DataError
from shoestring.domain.preprocess import Preprocess
from shoestring.evaluate.dataset import Dataset, open_dataset
from shoestring.evaluate.identity import identities
from shoestring.evaluate.splits import split
from shoestring.inputs.image import tensor

HELD_PART = 0.05
MIN_HELD, MAX_HELD = 50, 1000
MIN_IMAGES = 32
"""Of training; below it there is nothing to learn from."""


@dataclass(frozen=True)
class Images:
    """Images to learn from and to look at.

    Args:
        dataset: that both parts index.
        train: indices to learn from.
        held: indices that choices and progress are judged on; the student never learns from them.
        hashes: of all of them, by file and by pixels; what `trained_on` gives.
        shown: images that the pre-processing may be proposed from, in `judged`.
        judged: the data set that `fit` will be run on.
        notes: in words.
    """

    dataset: Dataset
    train: tuple[int, ...]
    held: tuple[int, ...]
    hashes: frozenset[str]
    judged: Dataset
    shown: tuple[int, ...]
    notes: tuple[str, ...]


def choose_images(data: Path, train_data: Path | None, labels: tuple[str, ...], seed: int, limit: int | None) -> Images:
    """Training images beside the data that `fit` will certify on.

    Args:
        data: what `fit` will be given, with the same `seed` and `limit`.
        train_data: other images, of which everything that is also in `data` is left out; None takes the calibration
            and selection splits of `data`.
        labels: class names, see `open_dataset`; labels themselves are not used.
        seed: of the splits.
        limit: at most this many images of `data`.

    Raises:
        DataError: the images cannot be read, or fewer than MIN_IMAGES are left.
    """
    judged = open_dataset(data, label_names=labels, limit=limit)
    splits = split(judged, seed=seed)
    shown = tuple(sorted((*splits.calibration, *splits.selection)))
    if train_data is None:
        pool, forbidden, indices = judged, splits.certification, shown
    else:
        pool = open_dataset(train_data)
        forbidden, indices = tuple(range(len(judged))), tuple(range(len(pool)))
    held_back = {one for index in forbidden for one in identities(judged, index)}
    names = {index: identities(pool, index) for index in indices}
    allowed = [index for index in indices if not held_back & set(names[index])]
    left_out = len(indices) - len(allowed)
    notes = [f"{left_out} training images are in {data} too and were left out"] if left_out else []
    count = min(MAX_HELD, max(MIN_HELD, round(HELD_PART * len(allowed))), len(allowed) // 5)
    if len(allowed) - count < MIN_IMAGES:
        raise DataError(
            f"{len(allowed)} images are left to learn from, at least {MIN_IMAGES + 1} are needed",
            hint="give more unlabelled images with --train-data",
        )
    held = tuple(allowed[: max(1, count)])  # indices follow the hashes: the first are a random sample
    train = tuple(allowed[len(held) :])
    notes.append(f"{len(train):,} images to learn from, {len(held):,} to judge by; none that fit certifies on")
    hashes = frozenset(one for index in allowed for one in names[index])
    return Images(pool, train, held, hashes, judged, shown, tuple(notes))


def batches(dataset: Dataset, indices: Sequence[int], spec: Preprocess, size: int) -> Iterator[Any]:
    """Model inputs (n, ...) as numpy arrays, in the order of `indices`."""
    for pixels in dataset.batches(indices, spec, size):
        yield tensor(pixels, spec)
