"""The normalised model computes what the original computes, and is as simple as promised."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import onnx_graphs
from shoestring.importers import import_model
from shoestring.importers.onnx_child import normalise
from shoestring.importers.walk import reads

if TYPE_CHECKING:
    from pathlib import Path

OPSETS = (11, 13, 16, 17, 22, onnx_graphs.NEWEST)


def run(path: Path, batch: int, seed: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(seed).standard_normal((batch, 3, 8, 8)).astype(np.float32)
    return session.run(None, {"x": x})[0]


def normalised(source: Path, target: Path, **shapes: list[int | None]) -> dict[str, Any]:
    return normalise({"source": str(source), "target": str(target), "batch_free": True, "shapes": shapes})


@pytest.mark.parametrize(("name", "opset"), list(itertools.product(onnx_graphs.GRAPHS, OPSETS)))
def test_same_function(tmp_path: Path, name: str, opset: int) -> None:
    source = onnx_graphs.save(onnx_graphs.GRAPHS[name](opset), tmp_path / "in.onnx")
    reply = normalised(source, tmp_path / "out.onnx")
    assert reply["opset"] == max(opset, 17)
    for batch, seed in ((1, 0), (3, 1), (2, 2)):
        expected = run(source, batch, seed)
        np.testing.assert_allclose(run(tmp_path / "out.onnx", batch, seed), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opset", OPSETS)
def test_what_is_gone(tmp_path: Path, opset: int) -> None:
    for name, build in onnx_graphs.GRAPHS.items():
        normalised(onnx_graphs.save(build(opset), tmp_path / "in.onnx"), tmp_path / "out.onnx")
        result = onnx.load(tmp_path / "out.onnx")
        operators = {node.op_type for node in result.graph.node}
        assert operators.isdisjoint({"BatchNormalization", "Constant", "Identity", "Dropout", "Exp", "Size"}), name
        read = {item for node in result.graph.node for item in reads(node)}
        assert {item.name for item in result.graph.initializer} <= read
        names = [node.name for node in result.graph.node]
        assert all(names) and len(set(names)) == len(names)


def test_words_are_dropped_and_the_bytes_are_the_same_each_time(tmp_path: Path) -> None:
    source = onnx_graphs.save(onnx_graphs.conv_bn_relu(), tmp_path / "in.onnx")
    first = import_model(source, tmp_path / "a.onnx")
    second = import_model(source, tmp_path / "b.onnx")
    data = (tmp_path / "a.onnx").read_bytes()
    assert data == (tmp_path / "b.onnx").read_bytes()
    assert b"somebody" not in data and b"secret-exporter" not in data
    assert first.sha256 == second.sha256
    assert first.notes == second.notes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx", "in.onnx"]


def test_normalising_twice_changes_nothing(tmp_path: Path) -> None:
    for build in onnx_graphs.GRAPHS.values():
        normalised(onnx_graphs.save(build(11), tmp_path / "in.onnx"), tmp_path / "once.onnx")
        reply = normalised(tmp_path / "once.onnx", tmp_path / "twice.onnx")
        assert (tmp_path / "once.onnx").read_bytes() == (tmp_path / "twice.onnx").read_bytes()
        assert reply["notes"] == []


def test_the_noun_says_what_was_read_and_done(tmp_path: Path) -> None:
    model = import_model(onnx_graphs.save(onnx_graphs.conv_bn_relu(11), tmp_path / "net.onnx"), tmp_path / "out.onnx")
    assert (model.source_name, model.opset, model.path) == ("net.onnx", 17, tmp_path / "out.onnx")
    assert model.inputs[0].shape == (None, 3, 8, 8)
    assert (model.outputs[0].name, model.outputs[0].dtype, model.outputs[0].shape) == ("y", "float32", (None, 4, 8, 8))
    assert "opset raised from 11 to 17" in model.notes
    assert "fused 1 batch norms into the layer before" in model.notes
    assert {"removed 1 Dropout", "removed 1 Identity"} <= set(model.notes)


def test_old_writers_list_weights_as_inputs(tmp_path: Path) -> None:
    made = onnx_graphs.residual(11)
    made.graph.input.extend(
        helper.make_tensor_value_info(item.name, item.data_type, list(item.dims)) for item in made.graph.initializer
    )
    made.ir_version = 3
    reply = normalised(onnx_graphs.save(made, tmp_path / "in.onnx"), tmp_path / "out.onnx")
    assert [item["name"] for item in reply["inputs"]] == ["x"]
    assert [item.name for item in onnx.load(tmp_path / "out.onnx").graph.input] == ["x"]


def test_a_float16_model_stays_float16(tmp_path: Path) -> None:
    half = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT16, ["n", 3, 8, 8]) for name in ("x", "y")]
    weights = [onnx_graphs.weight("w", 3, 3, 1, 1, dtype="float16")]
    made = onnx_graphs.model([helper.make_node("Conv", ["x", "w"], ["y"])], weights, inputs=half[:1], outputs=half[1:])
    reply = normalised(onnx_graphs.save(made, tmp_path / "in.onnx"), tmp_path / "out.onnx")
    assert reply["inputs"][0]["dtype"] == reply["outputs"][0]["dtype"] == "float16"


def test_dropout_that_trains_stays(tmp_path: Path) -> None:
    weights = [onnx_graphs.tensor("ratio", np.float32(0.5)), onnx_graphs.tensor("on", np.bool_(True))]
    made = onnx_graphs.model([helper.make_node("Dropout", ["x", "ratio", "on"], ["y"])], weights)
    normalised(onnx_graphs.save(made, tmp_path / "in.onnx"), tmp_path / "out.onnx")
    assert [node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node] == ["Dropout"]
