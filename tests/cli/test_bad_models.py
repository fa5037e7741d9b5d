"""Models that are broken, hostile or not ours: one clear error with a hint, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import tiny


def text_file(path: Path) -> None:
    path.write_text("this is no model\n" * 20)


def truncated(path: Path) -> None:
    data = tiny.make_model().SerializeToString()
    path.write_bytes(data[: len(data) // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def claims_3_gb(path: Path) -> None:
    model = tiny.make_model()
    liar = TensorProto(name="conv1.w", data_type=TensorProto.FLOAT, dims=[750_000_000], raw_data=b"\0" * 64)
    _replace(model, liar)
    kept = [item for item in model.graph.initializer if item.name == "conv1.w"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    path.write_bytes(model.SerializeToString())
    assert path.stat().st_size < 2_000


def outside_data(path: Path) -> None:
    model = tiny.make_model()
    thief = TensorProto(name="conv1.w", data_type=TensorProto.FLOAT, dims=[16, 3, 3, 3])
    thief.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "../../etc/passwd"), ("offset", "0"), ("length", "1728")):
        thief.external_data.add(key=key, value=value)
    _replace(model, thief)
    path.write_bytes(model.SerializeToString())


def two_inputs(path: Path) -> None:
    model = tiny.make_model()
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n", 3]))
    model.graph.node.append(helper.make_node("Add", ["logits", "mask"], ["masked"], name="mask"))
    model.graph.output[0].name = "masked"
    path.write_bytes(model.SerializeToString())


def no_classifier(path: Path) -> None:
    """Boxes, as a detector answers them: (batch, 12, 8)."""
    model = tiny.make_model()
    shape = numpy_helper.from_array(np.array([0, 12, 8], np.int64), "boxes.shape")
    del model.graph.node[-2:]
    model.graph.initializer.append(shape)
    model.graph.node.append(helper.make_node("Resize", ["p2", "", "", "sizes"], ["wide"], name="resize"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 32, 1, 3], np.int64), "sizes"))
    model.graph.node.append(helper.make_node("Reshape", ["wide", "boxes.shape"], ["boxes"], name="boxes"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 12, 8]))
    path.write_bytes(model.SerializeToString())


def open_size(path: Path) -> None:
    model = tiny.make_model()
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = "side"
    path.write_bytes(model.SerializeToString())


def _replace(model: ModelProto, tensor: TensorProto) -> None:
    for item in model.graph.initializer:
        if item.name == tensor.name:
            item.CopyFrom(tensor)


BROKEN: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "text": (text_file, ("is a text file, not an ONNX model",)),
    "truncated": (truncated, ("is truncated, or not an ONNX file",)),
    "empty": (empty, ("is empty",)),
    "claims": (claims_3_gb, ("conv1.w", "750000000", "the file holds 64")),
    "outside": (outside_data, ("conv1.w", "external data is refused", "../../etc/passwd")),
    "two-inputs": (two_inputs, ("has 2 inputs (image, mask)",)),
    "no-classifier": (no_classifier, ("(batch, classes) of a classifier",)),
    "open-size": (open_size, ("leaves dimension 2 and 3 open",)),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_fit_refuses(cli, task, known, tmp_path, kind):
    write, expected = BROKEN[kind]
    model = tmp_path / "model.onnx"
    write(model)
    before = tiny.listing(tmp_path)
    said = cli("fit", model, "--data", task.data, "-o", tmp_path / "out.shoe", "--json")
    assert said.code == 1
    assert said.data["error"] == "ModelError"
    for words in expected:
        assert words in said.data["message"], said.data["message"]
    assert said.data["hint"] and said.err.count("error: ") == 1 and "Traceback" not in said.err
    assert tiny.listing(tmp_path) == before


@pytest.mark.parametrize("verb", ["inspect", "bench"])
@pytest.mark.parametrize("kind", ["text", "outside"])
def test_other_verbs_refuse_them_too(cli, tmp_path, verb, kind):
    write, expected = BROKEN[kind]
    model = tmp_path / "model.onnx"
    write(model)
    said = cli(verb, model)
    assert said.code == 1 and said.out == ""
    assert expected[-1] in said.err and "  hint: " in said.err and "Traceback" not in said.err


def test_a_model_where_a_bundle_is_wanted(cli, task, tmp_path):
    for words in (("run", task.model, task.wild / "0000.png"), ("report", task.model, "-o", tmp_path / "x.html")):
        said = cli(*words)
        assert said.code == 4 and said.out == "" and said.err.startswith("error: ")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("opset", "batch"), [(11, None), (17, 4), (21, None)])
def test_opsets_and_fixed_batches_are_taken(cli, task, known, tmp_path, opset, batch):
    model = tmp_path / "model.onnx"
    model.write_bytes(tiny.make_model(opset=opset, batch=batch).SerializeToString())
    said = cli("fit", model, "--data", task.data, "--limit", "120", "--json")
    assert said.code == 0, said.err
    assert said.data["chosen"] in tiny.KNOWN_MS
