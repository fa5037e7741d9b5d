"""Images with or without labels, from a folder, a CSV or an .npz; read one batch at a time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import DataError
from shoestring.base.limits import MAX_IMAGES
from shoestring.evaluate.dataset_csv import read_csv
from shoestring.evaluate.dataset_folder import read_folder
from shoestring.evaluate.dataset_found import Found
from shoestring.evaluate.dataset_labels import resolve
from shoestring.evaluate.dataset_npz import read_npz
from shoestring.evaluate.dataset_source import Source
from shoestring.inputs.image import Pixels, pixels
from shoestring.inputs.spec import check_preprocess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shoestring.domain.preprocess import Preprocess

MAX_DECODERS = 8  # threads; beyond it Python's own lock is the limit


@dataclass(frozen=True)
class Dataset:
    """Distinct images in the order of their hashes. Nothing is decoded before it is asked for.

    Args:
        path: what the user named.
        hashes: SHA-256 of each encoded file, or of the pixels for .npz; ascending.
        labels: class index of each image, or None when the data has none.
        names: class names in the model's order; () when unknown.
        notes: what was left out, in words.
        source: where the images lie.
        positions: of each image in the source.
    """

    path: Path
    hashes: tuple[str, ...]
    labels: tuple[int, ...] | None
    names: tuple[str, ...]
    notes: tuple[str, ...]
    source: Source = field(repr=False, compare=False)
    positions: tuple[int, ...] = field(repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.hashes)

    def name(self, index: int) -> str:
        """Of the image's file, for people."""
        return self.source.name(self.positions[index])

    def image(self, index: int) -> Image.Image:
        """The decoded image at its own size, RGB or grey. Raises DataError when it is broken or has changed."""
        return self.source.image(self.positions[index], self.hashes[index])

    def pixels(self, index: int, spec: Preprocess) -> Pixels:
        """(height, width, channels) after resize and crop. Raises DataError."""
        return pixels(self.image(index), spec, self.name(index))

    def batches(self, indices: Sequence[int], spec: Preprocess, size: int) -> Iterator[Pixels]:
        """Stream images in the order of `indices`; one batch is held at a time.

        Args:
            indices: into this data set.
            spec: from image to pixels.
            size: images a batch, at least 1; the last batch may be smaller.

        Yields:
            (n, height, width, channels), n <= size.

        Raises:
            DataError: an image is broken, has changed, or does not suit `spec`; `size` is below 1.
        """
        check_preprocess(spec)
        if size < 1:
            raise DataError(f"a batch of {size} images makes no sense", hint="use at least 1")
        workers = min(MAX_DECODERS, size, len(os.sched_getaffinity(0)))
        with ThreadPoolExecutor(workers) as pool:
            for start in range(0, len(indices), size):
                chunk = indices[start : start + size]
                batch = np.empty((len(chunk), spec.height, spec.width, spec.channels), np.uint8)

                def fill(worker: int, chunk: Sequence[int] = chunk, batch: Pixels = batch) -> None:
                    for place in range(worker, len(chunk), workers):
                        batch[place] = self.pixels(chunk[place], spec)

                for _ in pool.map(fill, range(workers)):
                    pass
                yield batch


def open_dataset(path: Path, *, label_names: tuple[str, ...] = (), limit: int | None = None) -> Dataset:
    """Find images and labels. Every image is read once, to hash it and to look at its header.

    Args:
        path: a folder of class folders, a flat folder of images (no labels), a CSV of `path,label`, or an .npz with
            `images` and perhaps `labels`.
        label_names: class names in the model's order. They number class folders and named labels; without them integers
            stand for themselves and names are numbered in sorted order.
        limit: read at most this many images, chosen by the hash of their names, so without regard to class; None for
            all.

    Raises:
        DataError: see the readers; also no image at all, more than MAX_IMAGES, a file that is not an image, or the same
            image under two labels.
    """
    if limit is not None and limit < 1:
        raise DataError(f"a limit of {limit} images leaves nothing", hint="use at least 1")
    found = _find(path)
    count = len(found.source)
    if count == 0:
        raise DataError(f"{path} holds no images" + "".join(f"; {note}" for note in found.notes), hint=_FORMS)
    if count > MAX_IMAGES:
        raise DataError(f"{path} holds {count} images, the limit is {MAX_IMAGES}", hint="take a sample of them")
    notes = list(found.notes)
    labels, names = None, label_names
    if found.labels is not None:
        index_of, names = resolve((*found.classes, *found.labels), label_names, "label")
        labels = [index_of[label] for label in found.labels]
    positions = list(range(count))
    if limit is not None and limit < count:
        positions.sort(key=lambda position: sha256_hex(found.source.name(position).encode()))
        positions = sorted(positions[:limit])
        notes.append(f"{limit} of {count} images taken, chosen by the hash of their names")
    kept = _distinct(found.source, positions, labels, notes)
    hashes = sorted(kept)
    return Dataset(
        path=path,
        hashes=tuple(hashes),
        labels=None if labels is None else tuple(labels[kept[sha256]] for sha256 in hashes),
        names=names,
        notes=tuple(notes),
        source=found.source,
        positions=tuple(kept[sha256] for sha256 in hashes),
    )


_FORMS = "give a folder of class folders, a folder of images, a CSV of path,label, or an .npz with images and labels"


def _find(path: Path) -> Found:
    if path.is_dir():
        return read_folder(path)
    if not path.is_file():
        raise DataError(f"{path} is not there, or is no regular file", hint=_FORMS)
    readers = {".csv": read_csv, ".npz": read_npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} is neither a folder nor a .csv nor an .npz", hint=_FORMS)
    return reader(path)


def _distinct(source: Source, positions: list[int], labels: list[int] | None, notes: list[str]) -> dict[str, int]:
    """Position of each distinct image by its hash; the same image under two labels is refused."""
    kept: dict[str, int] = {}
    dropped: list[int] = []
    for position in positions:
        sha256 = source.check(position)
        first = kept.setdefault(sha256, position)
        if first == position:
            continue
        if labels is not None and labels[first] != labels[position]:
            raise DataError(
                f"{source.name(first)} and {source.name(position)} are the same image, "
                f"with labels {labels[first]} and {labels[position]}",
                hint="keep the one with the right label",
            )
        dropped.append(position)
    if dropped:
        first_names = ", ".join(source.name(position) for position in dropped[:3])
        notes.append(f"{len(dropped)} repeated images left out: {first_names}{' ...' if len(dropped) > 3 else ''}")
    return kept
