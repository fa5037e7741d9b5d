"""What is OpenVINO's own; the promises all runtimes make are in contract/."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from onnx_elements import KINDS, check_named
from shoestring.base.errors import EngineError
from shoestring.runtimes import openvino_cpu, registry

pytest.importorskip("openvino")
onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

RUNTIME = openvino_cpu.OpenVinoRuntime()
EXAMPLE = Path(__file__).parents[2] / "examples" / "cifar10_main.onnx"


def save(nodes, inputs, outputs, weights=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def quantized(rows: int = 8) -> bytes:
    """x -> Q -> DQ -> MatMul with 8-bit weights -> Q -> DQ -> y."""
    generator = np.random.default_rng(3)
    weights = {
        "xs": np.float32(0.02), "xz": np.uint8(128), "w": generator.integers(-64, 64, (16, rows), dtype=np.int8),
        "ws": np.float32(0.01), "wz": np.int8(0), "ys": np.float32(0.05), "yz": np.uint8(128),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"]),
        helper.make_node("MatMul", ["xd", "wd"], ["m"]),
        helper.make_node("QuantizeLinear", ["m", "ys", "yz"], ["mq"]),
        helper.make_node("DequantizeLinear", ["mq", "ys", "yz"], ["y"]),
    ]
    ends = [value("x", TensorProto.FLOAT, ["n", 16])], [value("y", TensorProto.FLOAT, ["n", rows])]
    return save(nodes, *ends, [numpy_helper.from_array(np.asarray(one), name) for name, one in weights.items()])


@pytest.mark.parametrize(("kind", "dtype"), KINDS)
def test_element_types_go_by_numpys_names(kind, dtype):
    check_named(RUNTIME, kind, dtype)


@pytest.mark.parametrize("kind", [TensorProto.BFLOAT16, TensorProto.STRING])
def test_element_types_that_numpy_has_not_are_refused(kind):
    model = save([helper.make_node("Identity", ["x"], ["y"])], [value("x", kind, [2])], [value("y", kind, [2])])
    with pytest.raises(EngineError, match="'x' holds elements of type"):
        RUNTIME.load(model, 1)


def test_a_scalar_input():
    ends = [value("x", TensorProto.FLOAT, [])], [value("y", TensorProto.FLOAT, [])]
    with RUNTIME.load(save([helper.make_node("Neg", ["x"], ["y"])], *ends), 1) as session:
        assert session.run({"x": np.asarray(2, np.float32)})["y"] == -2


def test_ends_have_the_models_names_in_the_models_order():
    """OpenVINO knows a tensor by the names of all that it is equal to."""
    nodes = [
        helper.make_node("Sub", ["b", "a"], ["h"]),
        helper.make_node("Identity", ["h"], ["z"]),
        helper.make_node("Identity", ["h"], ["c"]),
    ]
    shapes = [value(name, TensorProto.FLOAT, [2]) for name in ("b", "a", "z", "h", "c")]
    with RUNTIME.load(save(nodes, shapes[:2], shapes[2:]), 1) as session:
        assert [spec.name for spec in session.inputs] == ["b", "a"]
        assert [spec.name for spec in session.outputs] == ["z", "h", "c"]
        answers = session.run({"a": np.asarray([1, 2], np.float32), "b": np.asarray([5, 5], np.float32)})
    assert all(one.tolist() == [4, 3] for one in answers.values())


def test_an_input_that_nothing_uses_is_named():
    ends = (
        [value("x", TensorProto.FLOAT, [2]), value("u", TensorProto.FLOAT, [2])],
        [value("y", TensorProto.FLOAT, [2])],
    )
    with pytest.raises(EngineError, match="its input 'u' is used by no operator"):
        RUNTIME.load(save([helper.make_node("Neg", ["x"], ["y"])], *ends), 1)


def test_an_operator_it_does_not_know_is_named():
    ends = [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [1])]
    with pytest.raises(EngineError, match="Frobnicate") as caught:
        RUNTIME.load(save([helper.make_node("Frobnicate", ["x"], ["y"])], *ends), 1)
    assert "src/" not in caught.value.message


def test_other_formats_are_not_tried():
    """OpenVINO reads seven formats and guesses; a model of ours is ONNX or nothing."""
    ir = b'<?xml version="1.0"?><net name="n" version="11"><layers></layers><edges></edges></net>'
    with pytest.raises(EngineError, match="no ONNX model"):
        RUNTIME.load(ir, 1)


@pytest.mark.parametrize("as_bytes", [True, False])
@pytest.mark.parametrize("location", ["beside.bin", "absolute"])
def test_weights_in_other_files_are_never_read(tmp_path, monkeypatch, location, as_bytes):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside.bin").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    where = str(tmp_path / "beside.bin") if location == "absolute" else location
    weights.external_data.add(key="location", value=where)
    ends = [value("x", TensorProto.FLOAT, [4])], [value("y", TensorProto.FLOAT, [4])]
    model = save([helper.make_node("Add", ["x", "w"], ["y"])], *ends, [weights])
    path = tmp_path / "m.onnx"
    path.write_bytes(model)
    with pytest.raises(EngineError, match="the values of 'w' lie in another file"):
        RUNTIME.load(model if as_bytes else path, 1)
    # The engine itself would read it, without a word:
    engine = openvino_cpu.engine_module()
    read = openvino_cpu._core(engine).compile_model(openvino_cpu._convert(engine, model), "CPU")
    assert list(read({"x": np.zeros(4, np.float32)})[0]) == [0, 1, 2, 3]


@pytest.mark.parametrize("threads", [1, 2])
def test_settings_are_taken(threads):
    with RUNTIME.load(EXAMPLE, threads) as session:
        compiled = session._single.get_compiled_model()
        assert compiled.get_property("INFERENCE_NUM_THREADS") == threads
        assert compiled.get_property("NUM_STREAMS") == 1
        assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
        assert compiled.get_property("ENABLE_CPU_PINNING") is False


def example_feeds(batch: int = 1):
    return {"image": np.random.default_rng(0).standard_normal((batch, 3, 112, 112)).astype(np.float32)}


def test_one_example_and_many_are_answered_alike():
    """One example goes through a model that was compiled for it; only other batches need a second compilation."""
    feeds = example_feeds(3)
    with RUNTIME.load(EXAMPLE, 1) as session:
        one = session.run({"image": feeds["image"][1:2]})["logits"]
        assert session._request is None
        many = session.run(feeds)["logits"]
        assert session._request is not None
        np.testing.assert_array_equal(session.run({"image": feeds["image"][1:2]})["logits"], one)
    assert many.shape == (3, 10)
    np.testing.assert_allclose(many[1:2], one, atol=2e-5)


def test_free_lengths_that_are_no_batch_are_left_free():
    shape = ["n", "tokens", 4]
    ends = [value("x", TensorProto.FLOAT, shape)], [value("y", TensorProto.FLOAT, shape)]
    with RUNTIME.load(save([helper.make_node("Neg", ["x"], ["y"])], *ends), 1) as session:
        for lengths in ((1, 1), (1, 7), (2, 3)):
            assert session.run({"x": np.ones((*lengths, 4), np.float32)})["y"].shape == (*lengths, 4)


@pytest.mark.skipif("onnxruntime" not in registry.installed(), reason="the runtime onnxruntime is not installed")
@pytest.mark.parametrize("batch", [1, 3])
def test_a_network_answers_as_in_onnx_runtime(batch):
    feeds = example_feeds(batch)
    with RUNTIME.load(EXAMPLE, 1) as session, registry.get("onnxruntime").load(EXAMPLE, 1) as other:
        np.testing.assert_allclose(session.run(feeds)["logits"], other.run(feeds)["logits"], atol=2e-5)


@pytest.mark.skipif("onnxruntime" not in registry.installed(), reason="the runtime onnxruntime is not installed")
def test_a_quantized_network_answers_as_in_onnx_runtime_to_one_step():
    feeds = {"x": np.random.default_rng(1).standard_normal((5, 16)).astype(np.float32)}
    with RUNTIME.load(quantized(), 1) as session, registry.get("onnxruntime").load(quantized(), 1) as other:
        np.testing.assert_allclose(session.run(feeds)["y"], other.run(feeds)["y"], atol=0.05 * 1.01)


def test_without_a_dot_product_a_quantized_model_is_refused_and_a_float_one_is_not(monkeypatch):
    monkeypatch.setattr(openvino_cpu, "has_dot_product", lambda: False)
    with pytest.raises(EngineError, match="asimddp") as caught:
        RUNTIME.load(quantized(), 1)
    assert "32-bit floats" in caught.value.hint
    RUNTIME.load(EXAMPLE, 1).close()


@pytest.mark.parametrize(
    ("machine", "word", "has"), [("x86_64", 0, True), ("aarch64", 0, False), ("aarch64", 1 << 20, True)]
)
def test_the_dot_product_is_asked_of_the_kernel(monkeypatch, machine, word, has):
    class Library:
        def __init__(self, _: object) -> None:
            self.getauxval = type("Function", (), {"__call__": lambda _, number: word if number == 16 else 0})()

    monkeypatch.setattr(openvino_cpu.platform, "machine", lambda: machine)
    monkeypatch.setattr(openvino_cpu.ctypes, "CDLL", Library)
    assert openvino_cpu.has_dot_product() is has


def test_threads_sleep_when_a_run_ends():
    """Like the settings of ONNX Runtime: sessions are timed side by side, and a board cools between two pictures."""
    with RUNTIME.load(EXAMPLE, 2) as session:
        for _ in range(3):
            session.run(example_feeds())
        start = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - start < 0.05


WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        with open(os.environ["HOME"] + "/reached-out", "a") as note:
            note.write(event)
        raise OSError("no network here")
sys.addaudithook(watch)
"""
OURS = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[2] / "src")!r})
from pathlib import Path
from shoestring.runtimes import registry
with registry.get("openvino").load(Path({str(EXAMPLE)!r}), 1) as session:
    import numpy as np
    session.run({{"image": np.zeros((1, 3, 112, 112), np.float32)}})
assert "openvino_telemetry" not in sys.modules
"""


def left_behind(code: str, folder: Path) -> list[str]:
    """What a fresh interpreter leaves in its home and its directory for temporary files; it cannot reach out."""
    folder.mkdir()
    # The package keeps silent where it believes to be in continuous integration: take away the signs of it.
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LD_LIBRARY_PATH", "LANG")}
    environment = {**kept, "HOME": str(folder), "TMPDIR": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    subprocess.run([sys.executable, "-c", WATCH + code], check=True, env=environment, cwd=folder)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_nothing_is_sent_or_written(tmp_path):
    assert left_behind(OURS, tmp_path / "ours") == []


def test_without_our_care_something_would_be(tmp_path):
    left = left_behind("import openvino, time; time.sleep(1)", tmp_path / "plain")
    if not left:
        pytest.skip("this installation of OpenVINO has no telemetry")
    assert any("intel" in name for name in left)
