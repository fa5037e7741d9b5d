"""What is imported computes what Darknet computes, layer by layer and as whole networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import darknet_nets as nets
from darknet_nets import conv, net, section
from darknet_reference import Network, decode, draw
from shoestring.importers import import_model
from shoestring.importers.darknet import layers
from shoestring.importers.darknet.activations import ACTIVATIONS
from shoestring.importers.darknet.child import translate

SIDE = 16
TOLERANCE = 2e-5  # of the largest value: float32 sums in another order

SMALL = {
    "conv without batch norm": conv(5, 3, norm=0),
    "stride 2": conv(5, 3, 2),
    "strides apart": section("convolutional", filters=4, size=3, stride_x=2, stride_y=1, pad=1, activation="relu"),
    "explicit padding": section("convolutional", filters=4, size=3, padding=2, activation="relu"),
    "no padding": section("convolutional", filters=4, size=5, activation="linear"),
    "groups": conv(6, 1) + conv(12, 3, groups=3),
    "depthwise": conv(6, 1) + conv(6, 3, groups=6, activation="relu6"),
    "dilation": conv(5, 3, dilation=2),
    "default activation": section("convolutional", filters=4, size=1, stride=1),
    "pool of 2, stride 2": section("maxpool", size=2, stride=2),
    "pool of 2, stride 1": section("maxpool", size=2, stride=1),
    "pool of 3, stride 2": section("maxpool", size=3, stride=2),
    "pool of 5, stride 1": section("maxpool", size=5, stride=1),
    "pool of 13, stride 1": section("maxpool", size=13, stride=1),
    "pool of an odd size": conv(4, 2, norm=0, padding=0) + section("maxpool", size=2, stride=2),
    "pool without padding": section("maxpool", size=3, stride=2, padding=0),
    "pool of one": section("maxpool", stride=1),
    "route": conv(4, 3) + conv(6, 3) + section("route", layers="-1,0"),
    "route of a part": conv(8, 3) + section("route", layers="-1", groups=4, group_id=2),
    "route of parts": conv(8, 3) + conv(4, 1) + section("route", layers="-1, -2", groups=2, group_id=1),
    "shortcut": conv(4, 3) + conv(4, 3) + section("shortcut", **{"from": "-2", "activation": "leaky"}),
    "shortcut of three": conv(4, 3) * 3 + section("shortcut", **{"from": "-2,0"}),
    "squeeze and excite": conv(4, 3)
    + section("avgpool")
    + conv(4, 1, norm=0, activation="logistic")
    + section("scale_channels", **{"from": 0}),
    "attention": conv(4, 3) + conv(4, 3, activation="logistic") + section("sam", **{"from": "-2"}),
    "upsample": conv(4, 3) + section("upsample", stride=3),
    "activation": conv(4, 3) + section("activation", activation="mish"),
    "connected": section("connected", output=7, activation="leaky"),
    "connected with batch norm": section("connected", output=7, batch_normalize=1) + section("connected", output=3),
    "classifier": conv(9, 3)
    + section("avgpool")
    + section("dropout", probability=".5")
    + section("softmax", groups=1)
    + section("cost", type="sse"),
    "softmax in groups": conv(9, 3, 4) + section("avgpool") + section("softmax", groups=3, temperature=2),
    "yolov3": (nets.yolov3(64, 4, 2), 64),
    "yolov3-tiny": (nets.yolov3_tiny(64, 4, 3), 64),
    "yolov4-tiny": (nets.yolov4_tiny(64, 4, 1), 64),
}
SMALL |= {f"activation {name}": conv(4, 3, activation=name) for name in ACTIVATIONS}


def imported(source: Path) -> Any:
    """A session over the ONNX that the child writes, in this process."""
    target = source.with_suffix(".onnx")
    translate({"source": str(source), "weights": str(source.with_suffix(".weights")), "target": str(target)})
    onnx.checker.check_model(onnx.load(target), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(target), options, providers=["CPUExecutionProvider"])


def worst(folder: Path, text: str, side: int, batch: int = 2) -> float:
    """Largest difference from the reference, relative to its largest value; the same outputs are asked of both."""
    words = draw(text, side, seed=5)
    session = imported(nets.write(folder, text, words))
    x = np.random.default_rng(2).random((batch, 3, side, side), np.float32)
    expected = Network(text, words).run(x)
    names = [value.name for value in session.get_outputs()]
    assert names == list(expected)
    differences = []
    for name, got in zip(names, session.run(None, {"images": x}), strict=True):
        assert got.shape == expected[name].shape or got.shape == expected[name].shape[:2]
        reference = expected[name].reshape(got.shape)
        differences.append(float(np.abs(got - reference).max() / np.abs(reference).max()))
    return max(differences)


@pytest.mark.parametrize("name", SMALL)
def test_same_function(tmp_path: Path, name: str) -> None:
    found = SMALL[name]
    text, side = found if isinstance(found, tuple) else (net(SIDE) + found, SIDE)
    assert worst(tmp_path, text, side) < TOLERANCE


def test_a_wrong_epsilon_or_slope_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = net(SIDE) + conv(5, 3)
    monkeypatch.setattr(layers, "EPSILON", 1e-3)
    assert worst(tmp_path, text, SIDE) > TOLERANCE
    monkeypatch.undo()
    monkeypatch.setitem(ACTIVATIONS, "leaky", ACTIVATIONS["relie"])
    assert worst(tmp_path, text, SIDE) > TOLERANCE


def test_connected_weights_of_flagged_versions_are_transposed(tmp_path: Path) -> None:
    text = net(4) + section("connected", output=5, activation="linear")
    words = draw(text, 4)
    plain = imported(nets.write(tmp_path, text, words, name="plain"))
    matrix = words[5:].reshape(5, 48).T.reshape(-1)
    flagged = imported(nets.write(tmp_path, text, np.concatenate([words[:5], matrix]), (0, 1001, 0), "flagged"))
    x = {"images": np.random.default_rng(3).random((1, 3, 4, 4), np.float32)}
    np.testing.assert_allclose(plain.run(None, x)[0], flagged.run(None, x)[0], rtol=1e-5)


def test_heads_carry_what_decoding_needs(tmp_path: Path) -> None:
    text = nets.yolov3_tiny(64, 4, 3)
    source = nets.write(tmp_path, text, draw(text, 64))
    model = import_model(source, tmp_path / "out.onnx")
    assert [(spec.name, spec.shape) for spec in model.outputs] == [
        ("yolo_0", (None, 24, 2, 2)),
        ("yolo_1", (None, 24, 4, 4)),
    ]
    kept = {item.key: item.value for item in onnx.load(model.path).metadata_props}
    found = json.loads(kept["shoestring.yolo"])
    assert found["input"] == {"width": 64, "height": 64, "channels": 3}
    assert [(one["output"], one["stride"], one["classes"], one["mask"]) for one in found["heads"]] == [
        ("yolo_0", 32, 3, [3, 4, 5]),
        ("yolo_1", 16, 3, [0, 1, 2]),
    ]
    assert found["heads"][1]["anchors"] == [[10, 14], [23, 27], [37, 58]]


def test_importing_again_keeps_the_heads_and_nothing_else_of_the_metadata(tmp_path: Path) -> None:
    text = nets.yolov3_tiny(64, 4, 3)
    first = import_model(nets.write(tmp_path, text, draw(text, 64)), tmp_path / "first.onnx")
    more = onnx.load(first.path)
    more.metadata_props.add(key="author", value="somebody")
    onnx.save(more, tmp_path / "more.onnx")
    second = import_model(tmp_path / "more.onnx", tmp_path / "second.onnx")
    assert second.sha256 == first.sha256


def test_a_region_head_is_raw_too(tmp_path: Path) -> None:
    last = conv(2 * 8, 1, norm=0, activation="linear")
    text = net(32) + conv(4, 3, 2) + last + section("region", anchors="1,2,3,4", num=2, classes=3, softmax=1)
    model = import_model(nets.write(tmp_path, text, draw(text, 32)), tmp_path / "out.onnx")
    assert model.outputs[0].name == "region_0"
    found = json.loads(onnx.load(model.path).metadata_props[0].value)["heads"][0]
    assert (found["kind"], found["stride"], found["softmax"]) == ("region", 2, 1)


def test_the_noun_names_both_files_and_the_bytes_are_the_same_each_time(tmp_path: Path) -> None:
    text = net(SIDE) + conv(4, 3)
    source = nets.write(tmp_path, text, draw(text, SIDE))
    first, second = (import_model(source, tmp_path / f"{name}.onnx") for name in "ab")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert first.source_sha256 == second.source_sha256
    assert first.source_name == "net.cfg"
    assert "read 124 floats for 1 layers from weights of Darknet 0.2.5" in first.notes
    assert any("RGB pixels in 0..1" in note for note in first.notes)
    source.with_suffix(".weights").rename(tmp_path / "other.bin")
    given = import_model(source, tmp_path / "c.onnx", weights=tmp_path / "other.bin")
    assert given.source_sha256 == first.source_sha256
    changed = bytearray((tmp_path / "other.bin").read_bytes())
    changed[-1] ^= 1
    (tmp_path / "other.bin").write_bytes(bytes(changed))
    again = import_model(source, tmp_path / "c.onnx", weights=tmp_path / "other.bin")
    assert again.source_sha256 != first.source_sha256


def test_a_head_decodes_to_the_box_that_was_put_in() -> None:
    """One anchor of one cell says: a thing of class 1, centred at a quarter of it, twice as wide as the anchor."""
    raw = np.full((1, 7, 4, 4), -20.0, np.float32)
    raw[0, :, 1, 2] = [np.log(1 / 3), 0.0, np.log(2), 0.0, 20.0, -20.0, 20.0]
    head = {"output": "yolo_0", "classes": 2, "anchors": [[8, 16]], "scale_x_y": 1.0}
    ((kind, score, box),) = decode({"yolo_0": raw}, {"input": {"width": 64, "height": 64}, "heads": [head]})
    assert kind == 1 and score > 0.999
    x, y = (2 + 0.25) / 4, (1 + 0.5) / 4
    np.testing.assert_allclose(box, [x - 8 / 64, y - 8 / 64, x + 8 / 64, y + 8 / 64], rtol=1e-5)
