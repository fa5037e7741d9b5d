"""Models that are not ONNX go through the verbs as ONNX does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

import darknet_nets as nets
from darknet_reference import draw


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    text = nets.yolov3_tiny(64, 4, 2)
    return nets.write(tmp_path, text, draw(text, 64), name="yolo")


def test_weights_beside_the_cfg_are_found(cli: Any, yolo: Path) -> None:
    said = cli("inspect", str(yolo), "--json")
    assert said.code == 0
    assert [(one["name"], one["shape"]) for one in said.data["outputs"]] == [
        ("yolo_0", [None, 21, 2, 2]),
        ("yolo_1", [None, 21, 4, 4]),
    ]
    assert said.data["parameters"] == len(yolo.with_suffix(".weights").read_bytes()[20:]) // 4 - _norm_floats(yolo)


def _norm_floats(cfg: Path) -> int:
    """Scales, means and variances go into the layer before: three floats for each filter of a batch norm."""
    sections = cfg.read_text().split("[")
    filters = [part for part in sections if "batch_normalize=1" in part]
    return sum(3 * int(part.split("filters=")[1].split()[0]) for part in filters)


def test_weights_elsewhere_are_given(cli: Any, yolo: Path, tmp_path: Path) -> None:
    weights = yolo.with_suffix(".weights").rename(tmp_path / "final_1000.bin")
    said = cli("import", str(yolo), "-o", str(tmp_path / "yolo.onnx"))
    assert said.code == 1
    assert "yolo.weights, are no file" in said.err and "--weights FILE" in said.err
    said = cli("import", str(yolo), "--weights", str(weights), "-o", str(tmp_path / "yolo.onnx"))
    assert said.code == 0
    assert "detection heads are raw" in said.err
    kept = {item.key for item in onnx.load(tmp_path / "yolo.onnx").metadata_props}
    assert kept == {"shoestring.yolo"}


@pytest.mark.parametrize("verb", ["predict", "bench", "doctor", "compile", "convert", "fit", "chips"])
def test_every_verb_that_takes_a_model_takes_its_weights(verb: str) -> None:
    from shoestring.cli.main import build_parser

    model = ["--for", "net.cfg", "--fps", "1"] if verb == "chips" else ["net.cfg"]
    more = {
        "predict": ["--chip", "x"],
        "fit": ["--data", "x"],
        "compile": ["-o", "x"],
        "convert": ["--to", "litert", "-o", "x"],
    }.get(verb, [])
    found = build_parser(verb).parse_args([verb, *model, *more, "--weights", "net.weights"])
    assert found.weights == Path("net.weights")


def test_a_tflite_file(cli: Any, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    from tflite_files import TfliteNet

    net = TfliteNet()
    net.add(
        "CONV_2D",
        [net.input(1, 6, 6, 3), net.weight(4, 3, 3, 3), net.weight(4)],
        (1, 6, 6, 4),
        options="Conv2DOptions",
        strideH=1,
        strideW=1,
    )
    (tmp_path / "net.tflite").write_bytes(net.data())
    said = cli("inspect", str(tmp_path / "net.tflite"), "--json")
    assert said.code == 0
    assert said.data["operators"] == {"Conv": 1}
    assert said.data["macs"] == 6 * 6 * 4 * 27
    (tmp_path / "net.tflite").write_bytes(net.data()[:200])
    said = cli("inspect", str(tmp_path / "net.tflite"))
    assert said.code == 1
    assert "truncated or damaged" in said.err and "Traceback" not in said.err
