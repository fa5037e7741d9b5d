"""A detector through the verbs: fit, inspect, run, report; and prove, which says no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tiny_detector as squares
from factory_detector import make_detector_parts
from shoestring.bundle import pack
from shoestring.fitting import candidates


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> squares.Task:
    return squares.write_task(tmp_path_factory.mktemp("squares"), count=120)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    parts = make_detector_parts()
    pack(tmp_path / "squares.shoe", parts.manifest, parts.blobs)
    return tmp_path / "squares.shoe"


def test_fit_takes_a_head_and_names(
    cli: Any, pictures: squares.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "find_mixtures", lambda *_: ())
    out = tmp_path / "squares.shoe"
    (tmp_path / "names.txt").write_text("\n".join(squares.CLASSES))
    (tmp_path / "preprocess.toml").write_text(squares.PREPROCESS_TOML)
    said = cli(
        "fit", pictures.model, "--data", pictures.data, "--head", pictures.head, "--labels", tmp_path / "names.txt",
        "--preprocess", tmp_path / "preprocess.toml", "--max-drop", "10pt", "--runtimes", "onnxruntime",
        "--cache", tmp_path / "cache", "-o", out,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "no confident" not in said.out
    assert "images alike" in said.out
    assert "pre-processing as given" in said.err
    looked = cli("inspect", out)
    assert looked.code == 0
    assert "task: boxes of 3 classes (head yolo-anchors, threshold 0.25, overlap 0.45)" in looked.out
    assert "metric: detection-agreement" in looked.out
    ran = cli("run", out, pictures.data / "0003.png", "--json")
    assert ran.code == 0
    (answer,) = ran.data["answers"]
    assert (answer["width"], answer["height"]) == (64, 64)
    assert {box["label"] for box in answer["boxes"]} <= set(squares.CLASSES)
    assert answer["boxes"][0]["score"] > 0.5


def test_a_model_with_two_outputs_is_told_of_heads(cli: Any, pictures: squares.Task) -> None:
    said = cli("fit", pictures.model, "--data", pictures.data)
    assert said.code == 1
    assert "--head FILE" in said.err


def test_an_unknown_head_names_the_known(cli: Any, pictures: squares.Task) -> None:
    said = cli("fit", pictures.model, "--data", pictures.data, "--head", "yolov99")
    assert said.code == 2
    assert "yolov3-tiny" in said.err


def test_run_writes_a_line_for_each_picture(cli: Any, bundle: Path, pictures: squares.Task) -> None:
    said = cli("run", bundle, pictures.data / "0003.png", pictures.data / "0004.png")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert len(lines) == 2
    assert any("%" in line and "(" in line for line in lines)


def test_the_report_counts_objects(cli: Any, bundle: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert cli("report", bundle, "-o", page).code == 0
    text = page.read_text()
    assert "Objects lost" in text
    assert "loses a confident object of the original or invents one" in text
    assert "this camera" in text
    assert "KL" not in text


def test_the_report_of_a_classifier_says_nothing_of_objects(cli: Any, tmp_path: Path) -> None:
    from factory import make_bundle_parts

    parts = make_bundle_parts()
    pack(tmp_path / "cats.shoe", parts.manifest, parts.blobs)
    assert cli("report", tmp_path / "cats.shoe", "-o", tmp_path / "page.html").code == 0
    text = (tmp_path / "page.html").read_text()
    assert "Objects" not in text
    assert "KL, nats" in text


def test_prove_says_no(cli: Any, bundle: Path, pictures: squares.Task, tmp_path: Path) -> None:
    said = cli("prove", bundle, "--board", "raspberry-pi-4b-4gb", "--data", pictures.data, "-o", tmp_path / "p.shoe")
    assert said.code == 2
    assert "detector" in said.err
