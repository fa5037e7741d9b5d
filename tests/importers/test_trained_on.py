"""A model says which images it was trained on, and a missing or foreign list is refused."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import tiny
from shoestring.base.errors import DataError, ModelError
from shoestring.importers.trained_on import hashes_path, mark, trained_on, write_hashes

HASHES = frozenset(f"{place:064x}" for place in range(5))


@pytest.fixture
def student(tmp_path: Path) -> Path:
    model = tiny.make_model()
    mark(model, HASHES)
    path = tmp_path / "student.onnx"
    path.write_bytes(model.SerializeToString())
    write_hashes(path, HASHES)
    return path


def test_the_hashes_come_back(student: Path) -> None:
    assert trained_on(student) == HASHES


def test_a_model_that_says_nothing_gives_none(tmp_path: Path) -> None:
    path = tmp_path / "plain.onnx"
    path.write_bytes(tiny.make_model().SerializeToString())
    assert trained_on(path) is None


def test_a_missing_list_is_refused(student: Path) -> None:
    hashes_path(student).unlink()
    with pytest.raises(DataError, match="cannot be read: No such file"):
        trained_on(student)


@pytest.mark.parametrize("change", ["shorter", "longer", "other"])
def test_a_list_of_another_model_is_refused(student: Path, change: str) -> None:
    text = hashes_path(student).read_text()
    changed = {"shorter": text[65:], "longer": text + "f" * 64 + "\n", "other": text.replace("0", "1", 1)}
    hashes_path(student).write_text(changed[change])
    with pytest.raises(DataError, match="is not the list of images"):
        trained_on(student)


def test_a_list_of_something_else_is_refused(tmp_path: Path) -> None:
    model = tiny.make_model()
    mark(model, ["no hash"])
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    write_hashes(path, ["no hash"])
    with pytest.raises(DataError, match="lines that are no hashes"):
        trained_on(path)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_bytes(b"\xff\xff no model")
    with pytest.raises(ModelError, match="truncated, or not an ONNX file"):
        trained_on(path)
    with pytest.raises(ModelError, match="cannot read"):
        trained_on(tmp_path / "absent.onnx")


def test_the_mark_does_not_change_the_answers(student: Path) -> None:
    model = onnx.load(student)
    del model.metadata_props[:]
    assert model.SerializeToString() == tiny.make_model().SerializeToString()
