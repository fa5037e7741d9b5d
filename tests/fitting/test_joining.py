"""The heads that Darknet networks say of themselves, and those that are not decoded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

import darknet_nets
import darknet_reference
import tiny
import tiny_detector as squares
from shoestring.base.cache import Cache
from shoestring.base.errors import ModelError
from shoestring.compress.graph import Graph
from shoestring.fitting.detectors import settle_head
from shoestring.fitting.joining import join_outputs, spec_inside
from shoestring.heads import flat_length
from shoestring.heads.spec import find_head, known_heads
from shoestring.importers import import_model

SMALL = 64
FIRST_THREE = ((10.0, 14.0), (23.0, 27.0), (37.0, 58.0))  # mask = 0,1,2, as in the published .cfg


@pytest.fixture
def tiny_yolo(tmp_path: Path) -> Path:
    text = darknet_nets.yolov3_tiny(SMALL, width=2)
    return darknet_nets.write(tmp_path, text, darknet_reference.draw(text, SMALL))


def test_a_darknet_network_needs_no_words(tiny_yolo: Path, tmp_path: Path) -> None:
    model = import_model(tiny_yolo, tmp_path / "model.onnx")
    spec = spec_inside(model.path)
    known = find_head("yolov3-tiny")
    assert spec is not None
    assert (spec.kind, spec.classes) == (known.kind, known.classes)
    assert spec.anchors == (known.anchors[0], FIRST_THREE)  # what the file says, not what the published weights want
    joined, head = settle_head(model, None, Cache(tmp_path / "kept"))
    assert head is not None
    assert [part.shape for part in head.parts] == [(255, 2, 2), (255, 4, 4)]
    assert joined.outputs[0].shape == (None, flat_length(head))


def test_a_classifier_has_no_head(tmp_path: Path) -> None:
    source = tmp_path / "tiny.onnx"
    source.write_bytes(tiny.make_model().SerializeToString())
    model = import_model(source, tmp_path / "model.onnx")
    assert settle_head(model, None, Cache(tmp_path / "kept")) == (model, None)


def with_metadata(path: Path, content: Any) -> Path:
    model = onnx.load(path)
    onnx.helper.set_model_props(
        model, {"shoestring.yolo": content if isinstance(content, str) else json.dumps(content)}
    )
    onnx.save(model, path)
    return path


YOLO = {"kind": "yolo", "new_coords": 0, "scale_x_y": 1.0, "classes": 3, "output": "coarse", "anchors": [[1.0, 2.0]]}
NOT_DECODED = {
    "region": ({"form": 1, "heads": [{"kind": "region"}]}, "kind region"),
    "stretched cells": ({"form": 1, "heads": [{**YOLO, "scale_x_y": 1.05}]}, "scale_x_y or new_coords"),
    "other coordinates": ({"form": 1, "heads": [{**YOLO, "new_coords": 1}]}, "scale_x_y or new_coords"),
    "another form": ({"form": 2, "heads": [YOLO]}, "form 2"),
    "no JSON": ("{", "damaged"),
    "a head without classes": ({"form": 1, "heads": [{**YOLO, "classes": None}]}, "damaged"),
    "no head": ({"form": 1, "heads": []}, "damaged"),
}


@pytest.mark.parametrize(("content", "words"), NOT_DECODED.values(), ids=NOT_DECODED)
def test_what_cannot_be_read_is_told(tmp_path: Path, content: Any, words: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(squares.make_model().SerializeToString())
    with pytest.raises(ModelError, match=words):
        spec_inside(with_metadata(path, content))


def test_a_name_that_is_taken_is_passed_over(tmp_path: Path) -> None:
    source = tmp_path / "squares.onnx"
    model = squares.make_model()
    for node in model.graph.node:  # the ReLU's result takes our name
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = "detections" if name == "r" else name
    source.write_bytes(model.SerializeToString())
    imported = import_model(source, tmp_path / "model.onnx")
    (tmp_path / "head.toml").write_text(squares.HEAD_TOML)
    joined, _ = join_outputs(imported, find_head(tmp_path / "head.toml"), Cache(tmp_path / "kept"))
    assert joined.outputs[0].name == "detections_"
    onnx.checker.check_model(Graph.load(joined.path).proto, full_check=True)


def test_every_known_head_can_be_read() -> None:
    assert {"yolov3", "yolov3-tiny", "yolov5", "yolov8"} <= set(known_heads())
    for name in known_heads():
        assert find_head(name).classes == 80
