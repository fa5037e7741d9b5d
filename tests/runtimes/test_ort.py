"""What is ONNX Runtime's own; the promises all runtimes make are in contract/."""

import numpy as np
import pytest

from onnx_elements import KINDS, check_named
from shoestring.base.errors import EngineError
from shoestring.runtimes import ort

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402


def save(nodes, inputs, outputs, weights=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


@pytest.mark.parametrize(("kind", "dtype"), KINDS)
def test_element_types_go_by_numpys_names(kind, dtype):
    check_named(ort.OrtRuntime(), kind, dtype)


def test_named_and_nameless_dimensions_are_free():
    shape = ["batch", None, 4]
    model = save(
        [helper.make_node("Identity", ["x"], ["y"])],
        [value("x", TensorProto.FLOAT, shape)],
        [value("y", TensorProto.FLOAT, shape)],
    )
    with ort.OrtRuntime().load(model, 1) as session:
        assert session.inputs[0].shape == (None, None, 4)


def test_a_scalar_input():
    model = save(
        [helper.make_node("Neg", ["x"], ["y"])],
        [value("x", TensorProto.FLOAT, [])],
        [value("y", TensorProto.FLOAT, [])],
    )
    with ort.OrtRuntime().load(model, 1) as session:
        assert session.run({"x": np.asarray(2, np.float32)})["y"] == -2


def test_what_is_not_a_tensor_of_numbers_is_refused():
    model = save(
        [helper.make_node("Identity", ["x"], ["y"])],
        [value("x", TensorProto.STRING, [1])],
        [value("y", TensorProto.STRING, [1])],
    )
    with pytest.raises(EngineError, match=r"'x' is a tensor\(string\)"):
        ort.OrtRuntime().load(model, 1)


def test_an_operator_it_does_not_know_is_named():
    model = save(
        [helper.make_node("Frobnicate", ["x"], ["y"])],
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    with pytest.raises(EngineError, match="Frobnicate") as caught:
        ort.OrtRuntime().load(model, 1)
    assert "[ONNXRuntimeError]" not in caught.value.message


def test_a_failure_inside_a_run_is_one_quiet_line(capfd):
    model = save(
        [helper.make_node("Gather", ["w", "x"], ["y"])],
        [value("x", TensorProto.INT64, [1])],
        [value("y", TensorProto.FLOAT, [1])],
        [helper.make_tensor("w", TensorProto.FLOAT, [4], [1, 2, 3, 4])],
    )
    with ort.OrtRuntime().load(model, 1) as session:
        with pytest.raises(EngineError, match="failed to run") as caught:
            session.run({"x": np.asarray([9], np.int64)})
        assert "\n" not in caught.value.message
        assert session.run({"x": np.asarray([1], np.int64)})["y"] == 2
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("as_bytes", [True, False])
@pytest.mark.parametrize("operator", ["Add", "Gather"])
@pytest.mark.parametrize("location", ["beside.bin", "../beside.bin", "absolute"])
def test_weights_in_other_files_are_never_read(tmp_path, monkeypatch, location, operator, as_bytes):
    folder = tmp_path / "models"
    folder.mkdir()
    for place in (folder, tmp_path):
        (place / "beside.bin").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    monkeypatch.chdir(folder)
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    where = str(folder / "beside.bin") if location == "absolute" else location
    weights.external_data.add(key="location", value=where)
    kind = TensorProto.FLOAT if operator == "Add" else TensorProto.INT64
    names = ["x", "w"] if operator == "Add" else ["w", "x"]
    nodes = [helper.make_node(operator, names, ["y"])]
    model = save(nodes, [value("x", kind, [4])], [value("y", TensorProto.FLOAT, [4])], [weights])
    path = folder / "m.onnx"
    path.write_bytes(model)
    with pytest.raises(EngineError, match="refuses"):
        ort.OrtRuntime().load(model if as_bytes else path, 1)


def test_threads_stop_spinning_when_a_run_ends():
    """The setting that lets sessions be timed side by side, and lets a board cool between two pictures."""
    model = save(
        [helper.make_node("Neg", ["x"], ["y"])],
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    with ort.OrtRuntime().load(model, 2) as session:
        options = session._session.get_session_options()
        assert options.get_session_config_entry("session.force_spinning_stop") == "1"
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
        assert session._session.get_providers() == ["CPUExecutionProvider"]
