"""What cannot go is named, all of it at once, with the rewrite that would do."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from onnx import TensorProto

pytest.importorskip("ai_edge_litert")

import zoo
from native.qdq_models import Sketch
from shoestring.base.errors import MissingExtraError, ModelError, StorageError, UsageError
from shoestring.convert.tflite import convert


def refusal(sketch: Sketch, *outputs: str) -> str:
    with pytest.raises(ModelError) as caught:
        convert(sketch.bytes(*outputs))
    return caught.value.message


def test_every_operator_is_named_with_its_rewrite():
    sketch = Sketch(1, 8, 16)
    one = sketch.add("Softplus", "x")
    other = sketch.add("Mish", "x")
    words = refusal(sketch, sketch.add("Add", one, other))
    assert "2 of the model's operators" in words
    assert "Softplus 'n0': TFLite has no Softplus; rewrite it as" in words
    assert "Mish 'n1'" in words


def test_an_erf_outside_a_gelu():
    sketch = Sketch(1, 8)
    assert "recognised as GELU" in refusal(sketch, sketch.add("Erf", "x"))


@pytest.mark.parametrize("mode", ["half_pixel_symmetric", "pytorch_half_pixel"])
def test_coordinates_of_a_resize_that_tflite_has_not(mode):
    sketch = Sketch(1, 3, 6, 6)
    scales = sketch.constant([1.0, 1.0, 1 / 6, 1.7], "float32")
    made = sketch.add("Resize", "x", "", scales, mode="linear", coordinate_transformation_mode=mode)
    assert "none of TFLite's; rewrite it with half_pixel" in refusal(sketch, made)


def test_refusals_of_the_writer_come_in_one_message():
    sketch = Sketch(1, 3, 6, 6)
    scales = sketch.constant([1.0, 1.0, 0.5, 1.7], "float32")
    options = {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"}
    made = [sketch.add("Resize", "x", "", scales, **options) for _ in range(2)]
    behind = sketch.add("Relu", sketch.add("Add", *made))
    words = refusal(sketch, behind)
    assert "2 of the model's operators" in words and "'n0'" in words and "'n1'" in words


def test_a_batch_of_two_and_a_free_side():
    sketch = Sketch(2, 3, 6, 6)
    assert "batch" in refusal(sketch, sketch.add("Relu", "x"))
    sketch = Sketch(1, 3, "h", 6)
    assert "must be fixed" in refusal(sketch, sketch.add("Relu", "x"))


def test_a_precision_that_the_graph_has_not():
    model = zoo.NETS["resnet18"]()
    with pytest.raises(ModelError, match="not quantized, int8 was asked for"):
        convert(model, "int8")
    with pytest.raises(UsageError, match="no precision 'int4'"):
        convert(model, "int4")


def test_a_multiplier_beyond_litert():
    sketch = Sketch(1, 4, 5, 5)
    weight = sketch.weight8(4, 4, 1, 1)
    x = sketch.pair("x", 40.0, 0)
    made = sketch.add("Conv", x, weight)
    assert "LiteRT takes less than 256" in refusal(sketch, sketch.pair(made, 1e-4, 0))


def test_no_file_and_no_model(tmp_path):
    with pytest.raises(StorageError):
        convert(tmp_path / "absent.onnx")
    with pytest.raises(ModelError, match="not an ONNX file"):
        convert(b"certainly not a model")


def test_a_missing_package_names_the_extra(monkeypatch):
    sketch = Sketch(1, 4)
    model = sketch.bytes(sketch.add("Relu", "x"))
    for package in ("ai_edge_litert", "flatbuffers"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            with pytest.raises(MissingExtraError) as caught:
                convert(model)
            assert "shoestring[litert]" in caught.value.hint


def test_tokens_number_the_rows_of_an_embedding():
    sketch = Sketch(1, 5)
    sketch.inputs = [("x", TensorProto.INT64, ("n", 5))]
    made = sketch.add("MatMul", sketch.add("Gather", sketch.normal(9, 6), "x"), sketch.normal(6, 4))
    model = sketch.bytes(made)
    from shoestring.runtimes import registry

    given = {"x": np.array([[0, 8, 3, 3, 1], [5, 4, 7, 2, 6]])}
    with registry.get("litert").load(convert(model).data, 1) as one, registry.get("onnxruntime").load(model, 1) as two:
        assert one.inputs == two.inputs
        np.testing.assert_allclose(one.run(given)[made], two.run(given)[made], rtol=1e-5, atol=1e-6)
    sketch.nodes.clear()
    assert "'x' is int64; it must be float32" in refusal(sketch, sketch.add("Add", "x", "x"))


def test_integers_as_inputs_are_taken():
    sketch = Sketch(1, 4)
    sketch.inputs = [("x", TensorProto.UINT8, (1, 4))]
    parameters = (sketch.constant(0.02, "float32"), sketch.constant(7, "uint8"))
    made = sketch.add("Relu", sketch.add("DequantizeLinear", "x", *parameters))
    found = convert(sketch.bytes(made))
    from shoestring.runtimes.litert import LiteRtRuntime

    with LiteRtRuntime().load(found.data, 1) as session:
        assert session.inputs[0].dtype == "uint8"
        answer = session.run({"x": np.array([[0, 7, 8, 255]], np.uint8)})[made]
    np.testing.assert_allclose(answer, [[0, 0, 0.02, 4.96]], rtol=1e-6)
