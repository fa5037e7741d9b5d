"""No image that a certificate will rest on is learned from. None of it needs torch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import tiny
from shoestring.base.errors import DataError
from shoestring.evaluate.dataset import open_dataset
from shoestring.evaluate.identity import identities, seen_before
from shoestring.evaluate.splits import split
from shoestring.training import images as module
from shoestring.training.images import choose_images


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> tiny.Task:
    return tiny.write_task(tmp_path_factory.mktemp("task"), 200)


def certified(data: Path, seed: int = 0) -> set[str]:
    dataset = open_dataset(data)
    return {dataset.hashes[i] for i in split(dataset, seed=seed).certification}


@pytest.mark.parametrize("seed", [0, 1])
def test_what_fit_certifies_on_is_left_out(task: tiny.Task, seed: int) -> None:
    chosen = choose_images(task.data, None, (), seed, None)
    assert not chosen.hashes & certified(task.data, seed)
    assert not set(chosen.train) & set(chosen.held)
    assert len(chosen.train) + len(chosen.held) == 200 - len(certified(task.data, seed))


def test_training_images_that_are_in_the_data_too_are_left_out_even_in_another_container(
    task: tiny.Task, tmp_path: Path
) -> None:
    same, _ = tiny.make_images(200, 0)
    more, _ = tiny.make_images(100, 77)
    mixed = tmp_path / "mixed.npz"
    np.savez(mixed, images=np.concatenate([more, same[:60]]))
    chosen = choose_images(task.data, mixed, (), 0, None)
    assert len(chosen.train) + len(chosen.held) == 100
    assert any(note.startswith("60 training images are in") for note in chosen.notes)
    dataset = open_dataset(task.data)
    pixels = {identities(dataset, i)[1] for i in range(len(dataset))}
    assert not chosen.hashes & (set(dataset.hashes) | pixels)


def test_a_certification_split_that_was_learned_from_is_seen(task: tiny.Task, tmp_path: Path) -> None:
    """What `fit` asks of a student: here it learned 30 of the images, out of another container."""
    dataset = open_dataset(task.data)
    certification = split(dataset).certification
    pictures = np.stack([np.asarray(dataset.image(i)) for i in certification[:30]])
    np.savez(tmp_path / "learned.npz", images=pictures)
    learned = frozenset(open_dataset(tmp_path / "learned.npz").hashes)
    assert seen_before(dataset, certification, learned) == certification[:30]
    assert seen_before(dataset, certification, choose_images(task.data, None, (), 0, None).hashes) == ()


def test_a_chooser_that_forgets_to_leave_out_is_noticed(task: tiny.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saboteur: splits whose certification images are given out to learn from."""

    def wrong(dataset: object, *, seed: int = 0) -> object:
        right = split(dataset, seed=seed)  # type: ignore[arg-type]
        return dataclasses.replace(right, selection=right.certification, certification=right.selection)

    monkeypatch.setattr(module, "split", wrong)
    assert choose_images(task.data, None, (), 0, None).hashes & certified(task.data)


def test_too_few_images_are_refused(task: tiny.Task, tmp_path: Path) -> None:
    few = tiny.write_images(tmp_path / "few", tiny.make_images(20, 3)[0], None)
    with pytest.raises(DataError, match="20 images are left to learn from, at least 33"):
        choose_images(task.data, few, (), 0, None)
