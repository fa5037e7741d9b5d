"""Class names as users write them, and labels that are no class of the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shoestring.base.errors import DataError
from shoestring.evaluate.dataset_labels import check_label_range, read_label_names


@pytest.mark.parametrize("text", ["cat\ndog\r\n\n", json.dumps(["cat", "dog"]), "\ufeffcat\n dog "])
def test_label_names(tmp_path: Path, text: str) -> None:
    path = tmp_path / "names"
    path.write_text(text, encoding="utf-8")
    assert read_label_names(path) == ("cat", "dog")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "hold 0 names"),
        (b"[]", "hold 0 names"),
        (b"cat\n\ndog\n", "entry 1 is ''"),
        (b'["cat", 3]', "entry 1 is 3"),
        (b'["cat"', "not a JSON list"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_bad_label_names(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "names"
    path.write_bytes(data)
    with pytest.raises(DataError, match=words):
        read_label_names(path)


def test_labels_outside_the_model(tmp_path: Path) -> None:
    check_label_range((0, 9), 10)
    with pytest.raises(DataError, match="label 10, the model has classes 0 to 9"):
        check_label_range((0, 10), 10)
