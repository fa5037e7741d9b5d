"""Three disjoint splits."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from shoestring.base.errors import DataError
from shoestring.evaluate.dataset import Dataset
from shoestring.evaluate.splits import Splits, split


def made(labels: list[int] | None, n: int = 0, prefix: str = "") -> Dataset:
    """A data set of hashes alone; splitting reads no image."""
    count = n if labels is None else len(labels)
    hashes = [hashlib.sha256(f"{prefix}{i}".encode()).hexdigest() for i in range(count)]
    order = sorted(range(count), key=lambda i: hashes[i])
    nothing: Any = None
    return Dataset(
        path=Path("x"),
        hashes=tuple(hashes[i] for i in order),
        labels=None if labels is None else tuple(labels[i] for i in order),
        names=(),
        notes=(),
        source=nothing,
        positions=tuple(order),
    )


def parts(splits: Splits) -> list[tuple[int, ...]]:
    return [splits.calibration, splits.selection, splits.certification]


@pytest.mark.parametrize(
    ("n", "sizes"),
    [
        (48, (16, 12, 20)),
        (100, (16, 25, 59)),
        (3000, (300, 750, 1950)),
        (10_000, (512, 2000, 7488)),
    ],
)
@pytest.mark.parametrize("labelled", [True, False])
def test_sizes_disjoint_and_complete(n: int, sizes: tuple[int, int, int], labelled: bool) -> None:
    splits = split(made([i % 7 for i in range(n)] if labelled else None, n))
    assert tuple(len(part) for part in parts(splits)) == sizes
    assert sorted(index for part in parts(splits) for index in part) == list(range(n))
    assert all(list(part) == sorted(part) for part in parts(splits))


def test_each_class_is_in_proportion() -> None:
    dataset = made([0] * 700 + [1] * 200 + [2] * 100)
    assert dataset.labels is not None
    for part in parts(split(dataset)):
        counts = Counter(dataset.labels[index] for index in part)
        for label, share in ((0, 0.7), (1, 0.2), (2, 0.1)):
            assert abs(counts[label] - share * len(part)) <= 2


def test_rare_classes_have_the_same_chance_of_certification() -> None:
    """Ranks alone (without u) would put every class of one image on the same side."""
    n_rare, n_common, certified_rare = 100, 300, 0
    for seed in range(20):
        dataset = made([0] * n_common + list(range(1, n_rare + 1)), prefix=str(seed))
        splits = split(dataset, seed=seed)
        assert dataset.labels is not None
        certified_rare += sum(dataset.labels[index] > 0 for index in splits.certification)
    expected = 20 * n_rare * 0.65
    assert abs(certified_rare - expected) < 4 * (20 * n_rare * 0.65 * 0.35) ** 0.5


def test_the_seed_decides_and_repeats() -> None:
    dataset = made([i % 5 for i in range(200)])
    assert split(dataset, seed=3) == split(dataset, seed=3)
    assert split(dataset, seed=3) != split(dataset, seed=4)


def test_one_more_image_moves_few_others() -> None:
    few, more = made(None, 1000), made(None, 1001)
    names = ("calibration", "selection", "certification")

    def home(dataset: Dataset) -> dict[str, str]:
        splits = split(dataset)
        return {dataset.hashes[index]: name for name in names for index in getattr(splits, name)}

    before, after = home(few), home(more)
    assert sum(after[sha256] != name for sha256, name in before.items()) <= 4


def test_too_few_images() -> None:
    with pytest.raises(DataError, match="47 different images are too few for three splits, at least 48 are needed"):
        split(made(None, 47))
