"""Images, labels and pre-processing that are wrong: one clear error with a hint, and nothing written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import tiny


def text_as_image(folder: Path, task: tiny.Task) -> Path:
    shutil.copytree(task.data, folder / "photos")
    (folder / "photos" / "red" / "9999.png").write_text("not an image")
    return folder / "photos"


def missing_labels(folder: Path, task: tiny.Task) -> Path:
    for path in sorted(task.wild.iterdir())[:60]:
        shutil.copy(path, folder)
    rows = [
        f"{path.name},{'' if place in (3, 8) else 'red'}" for place, path in enumerate(sorted(folder.glob("*.png")))
    ]
    (folder / "labels.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    return folder / "labels.csv"


def no_images(folder: Path, task: tiny.Task) -> Path:
    (folder / "photos" / "red").mkdir(parents=True)
    (folder / "photos" / "red" / "readme.txt").write_text("none yet")
    return folder / "photos"


def few_images(folder: Path, task: tiny.Task) -> Path:
    (folder / "photos").mkdir()
    for path in sorted(task.wild.iterdir())[:20]:
        shutil.copy(path, folder / "photos")
    return folder / "photos"


def one_image_two_labels(folder: Path, task: tiny.Task) -> Path:
    shutil.copytree(task.data, folder / "photos")
    shutil.copy(folder / "photos" / "red" / "0002.png", folder / "photos" / "blue" / "copy.png")
    return folder / "photos"


def too_many_classes(folder: Path, task: tiny.Task) -> Path:
    shutil.copytree(task.data, folder / "photos")
    (folder / "photos" / "violet").mkdir()
    (folder / "photos" / "red" / "0002.png").rename(folder / "photos" / "violet" / "0002.png")
    return folder / "photos"


def escaping_csv(folder: Path, task: tiny.Task) -> Path:
    (folder / "labels.csv").write_text("path,label\n../../../etc/passwd,red\n")
    return folder / "labels.csv"


WRONG: dict[str, tuple[Callable[[Path, tiny.Task], Path], tuple[str, ...]]] = {
    "text-as-image": (text_as_image, ("9999.png",)),
    "missing-labels": (missing_labels, ("has no label on 2 of 60 rows: line 5, 10",)),
    "no-images": (no_images, ("holds no images",)),
    "few-images": (few_images, ("20 different images are too few", "at least 48")),
    "two-labels": (one_image_two_labels, ("are the same image", "0002.png", "copy.png")),
    "too-many-classes": (too_many_classes, ("the data has label 3, the model has classes 0 to 2",)),
    "escaping": (escaping_csv, ("../../../etc/passwd", "not a plain relative path")),
}


def refused(said, *words: str) -> None:
    """One data error, on stderr and as JSON, with a hint."""
    assert said.code == 1, said.err
    assert said.data["error"] == "DataError" and said.data["hint"]
    for one in words:
        assert one in f"{said.data['message']} {said.data['hint']}"
    assert said.err.count("error: ") == 1 and "Traceback" not in said.err


@pytest.mark.parametrize("kind", WRONG)
def test_fit_refuses(cli, task, known, tmp_path, kind):
    build, expected = WRONG[kind]
    data = build(tmp_path, task)
    before = tiny.listing(tmp_path)
    refused(cli("fit", task.model, "--data", data, "-o", tmp_path / "out.shoe", "--json"), *expected)
    assert tiny.listing(tmp_path) == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("height = 16\nwidth = 16\ncolor = 'rgb'\n", ("unknown key 'color'", "colour")),
        ("height = 16\nwidth = 16\nfilter = 'lanczos'\n", ("filter 'lanczos' is not one of",)),
        ("height = 32\nwidth = 32\n", ("(3, 32, 32)", "takes float32 (3, 16, 16)")),
        ("height = 16\nwidth = 16\nlayout = 'nhwc'\n", ("(16, 16, 3)",)),
        ("height = 16\nwidth = 0\n", ("size 16x0 is outside",)),
        ("height = 16\n", ("width",)),
        ("height = ", ("is not TOML",)),
    ],
)
def test_a_preprocess_file_that_is_wrong(cli, task, known, tmp_path, text, expected):
    spec = tmp_path / "preprocess.toml"
    spec.write_text(text)
    before = tiny.listing(tmp_path)
    words = ("--preprocess", spec, "-o", tmp_path / "out.shoe", "--json")
    refused(cli("fit", task.model, "--data", task.data, *words), *expected)
    assert tiny.listing(tmp_path) == before


def test_wrong_preprocessing_stops_at_chance_and_says_what_to_check(cli, task, known, tmp_path):
    words = ("--input-size", "16x16", "--mean", "90,90,90", "-o", tmp_path / "out.shoe", "--json")
    said = cli("fit", task.model, "--data", task.data, *words)
    refused(said, "not clearly above chance among 3 classes", "colour order", "order of the labels")
    assert not any(tmp_path.iterdir())


def test_labels_in_another_order_stop_at_chance_too(cli, task, known, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("green\nred\nblue\n")
    said = cli("fit", task.model, "--data", task.data, "--labels", names, "--json")
    refused(said, "no usual pre-processing suits", "order of the labels", "0..1 RGB")


def test_unlabelled_images_of_one_answer_stop_as_well(cli, task, known):
    words = ("--input-size", "16x16", "--mean", "90,90,90", "--json")
    refused(cli("fit", task.model, "--data", task.wild, *words), "different images", "colour order")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--max-drop", "1"), "no known unit"),
        (("--max-drop", ""), "not a number with a unit"),
        (("--max-drop", "120pt"), "outside (0, 100) points"),
        (("--latency", "5"), "must be above zero, in ms"),
        (("--latency", "1e999ms"), "too large"),
        (("--memory", "1e999GB"), "too large"),
        (("--size", "0MB"), "above zero"),
        (("--threads", "0"), "threads must be in 1.."),
        (("--confidence", "1.5"), "confidence 1.5 is outside"),
        (("--confidence", "nan"), "confidence nan is outside"),
        (("--chip", "rasberry-pi-4b"), "is not in the catalogue"),
        (("--input-size", "16"), "is not HEIGHTxWIDTH"),
        (("--input-size", "²x²"), "is not HEIGHTxWIDTH"),
        (("--mean", "a,b,c", "--input-size", "16x16"), "is not a list of numbers"),
        (("--resize", "stretch"), "need the input's size"),
        (("-o", "{folder}/missing/out.shoe"), "does not exist"),
        (("-o", "{folder}"), "is a directory"),
    ],
)
def test_flags_that_make_no_sense_exit_with_2_before_any_work(cli, task, tmp_path, words, expected, monkeypatch):
    monkeypatch.setenv("SHOESTRING_CACHE", str(tmp_path / "cache"))
    filled = [word.format(folder=tmp_path) for word in words]
    said = cli("fit", task.model, "--data", task.data, *filled, "--json")
    assert said.code == 2, said.err
    assert said.data["error"] == "UsageError" and expected in said.data["message"] and said.data["hint"]
    assert not any(tmp_path.iterdir())


def test_run_refuses_what_is_no_image(cli, measured, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_text("not an image")
    said = cli("run", measured, broken, "--json")
    refused(said, "broken.png")
    refused(cli("run", measured, tmp_path / "none.png", "--json"), "does not exist")
