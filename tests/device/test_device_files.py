"""Files and folders that a user names."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factory import make_images, make_preprocess
from shoestring.base.errors import DataError
from shoestring.device import expand, read_image
from shoestring.device import files as files_module


def _save(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(make_images(1, seed)[0]).save(path, format="PNG")
    return path


def test_folders_are_searched_and_everything_is_sorted_once(tmp_path: Path) -> None:
    wanted = [_save(tmp_path / name) for name in ("b.png", "a.JPG", "deep/er/c.png", "named_without_suffix")]
    (tmp_path / "notes.txt").write_text("no image")
    _save(tmp_path / ".hidden.png")
    _save(tmp_path / ".thumbnails" / "d.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert expand([tmp_path, tmp_path / "b.png", tmp_path / "named_without_suffix"]) == sorted(wanted)
    assert expand([str(tmp_path / "link.png")]) == [tmp_path / "link.png"]  # named by the user, so it is followed


@pytest.mark.parametrize("names", [["none.png"], ["empty"], []])
def test_nothing_to_read_is_told(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=names[0] if names else "no image was named"):
        expand([tmp_path / name for name in names])


def test_too_many_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        _save(tmp_path / f"{number}.png")
    monkeypatch.setattr(files_module, "MAX_IMAGES", 3)
    with pytest.raises(DataError, match="limit of 3 images"):
        expand([tmp_path])


def test_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    found = read_image(_save(tmp_path / "a.png", seed=5), make_preprocess(8))
    np.testing.assert_array_equal(found, make_images(1, 5)[0])


def test_files_that_are_no_images_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_preprocess(8)
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.png")
    good = _save(tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "folder.png").mkdir()
    for name in ("text.png", "empty.png", "pipe.png", "cut.png", "folder.png", "none.png"):
        with pytest.raises(DataError, match=name):
            read_image(tmp_path / name, spec)
    monkeypatch.setattr(files_module, "MAX_FILE_BYTES", 10)
    with pytest.raises(DataError, match=r"good\.png has \d+ bytes, the limit is 10"):
        read_image(tmp_path / "good.png", spec)
