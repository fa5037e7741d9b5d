"""A model that names its training images is not certified on them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import tiny
from shoestring.base.errors import DataError
from shoestring.domain.budget import Budget
from shoestring.evaluate.dataset import open_dataset
from shoestring.evaluate.splits import split
from shoestring.fitting import fit
from shoestring.importers.trained_on import hashes_path, mark, write_hashes


def marked(task: tiny.Task, folder: Path, hashes: list[str]) -> Path:
    model = onnx.load_model(task.model)
    mark(model, hashes)
    path = folder / "student.onnx"
    onnx.save_model(model, path)
    write_hashes(path, hashes)
    return path


def test_images_that_certify_must_not_have_taught(task: tiny.Task, tmp_path: Path, warm: Path) -> None:
    dataset = open_dataset(task.data)
    splits = split(dataset)
    known = marked(task, tmp_path, [dataset.hashes[i] for i in splits.certification[:7]])
    with pytest.raises(DataError, match="was trained on 7 of the"):
        fit(known, task.data, budget=Budget(max_drop=0.05), cache=warm)
    with pytest.raises(DataError, match="was trained on 7 of the"):
        fit(task.model, task.data, budget=Budget(max_drop=0.05), students=[known], cache=warm)


def test_calibration_images_may_teach(task: tiny.Task, tmp_path: Path, warm: Path) -> None:
    dataset = open_dataset(task.data)
    allowed = marked(task, tmp_path, [dataset.hashes[i] for i in split(dataset).calibration])
    fitted = fit(allowed, task.data, budget=Budget(max_drop=0.05), cache=warm)
    assert fitted.ladder.rungs


def test_a_lost_list_is_no_answer(task: tiny.Task, tmp_path: Path, warm: Path) -> None:
    path = marked(task, tmp_path, ["0" * 64])
    hashes_path(path).unlink()
    with pytest.raises(DataError, match="cannot be read"):
        fit(path, task.data, cache=warm)
