"""What stands in the file: the graph's own scales, the schema's alignment, versions, the entry for our adapter."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
import pytest

pytest.importorskip("ai_edge_litert")

import zoo
from convert.tflite.written import on_reference_kernels, parsed, quantized
from native.qdq_models import Sketch
from shoestring.compress.graph import Graph
from shoestring.convert.tflite import convert
from shoestring.convert.tflite.flat import ALIGNMENT, NO_TENSOR, Flat, schema, versions
from shoestring.runtimes.litert_ports import METADATA, read_ports


@pytest.fixture(scope="module")
def model() -> bytes:
    return quantized(zoo.NETS["mobilenet_v2"](), zoo.example_input("mobilenet_v2", 8, seed=2))


@pytest.fixture(scope="module")
def data(model) -> bytes:
    return convert(model).data


def tensors(data: bytes):
    return parsed(data).subgraphs[0].tensors


def test_every_scale_of_the_graph_stands_in_the_file_to_the_bit(model, data):
    """Activations: scale and zero point, moved by 128 for uint8. Weights: a scale for each channel, and the codes."""
    weights = Graph(onnx.load_model_from_string(model)).weights
    found = {
        (t.quantization.scale.tobytes(), int(t.quantization.zeroPoint[0]))
        for t in tensors(data)
        if t.quantization is not None and t.quantization.scale is not None and len(t.quantization.scale) == 1
    }
    layers = [name for name in weights if name.endswith("/weight/integers")]
    activations = [name[: -len("/zero")] for name in weights if weights[name].dtype == np.uint8]
    assert len(layers) > 40 and len(activations) > 40
    for name in activations:
        zero = int(weights[f"{name}/zero"]) - 128
        assert (np.float32(weights[f"{name}/scale"]).tobytes(), zero) in found, name
    scales = {t.quantization.scale.tobytes() for t in tensors(data) if t.quantization is not None and t.type == 9}
    for name in layers:
        assert weights[name.replace("integers", "scale")].tobytes() in scales, name


def test_codes_of_weights_are_those_of_the_graph(model, data):
    weights = Graph(onnx.load_model_from_string(model)).weights
    found = parsed(data)
    for tensor in found.subgraphs[0].tensors:
        name = tensor.name.decode()
        integers = weights.get(f"{name}/integers")
        if integers is None or not name.endswith("/weight"):
            continue
        shape = tuple(tensor.shape)
        codes = np.asarray(found.buffers[tensor.buffer].data).view(np.int8).reshape(shape)
        if integers.ndim == 4:
            depthwise = integers.shape[1] == 1
            integers = integers.transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
        np.testing.assert_array_equal(codes, integers)
    assert any(t.name.endswith(b"/weight") for t in found.subgraphs[0].tensors)


def test_constants_are_aligned_as_the_schema_demands(data):
    model = schema().Model.GetRootAs(data, 0)
    start = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    places = []
    for number in range(model.BuffersLength()):
        held = model.Buffers(number).DataAsNumpy()
        if isinstance(held, np.ndarray):
            places.append(held.__array_interface__["data"][0] - start)
    assert len(places) > 100
    assert not [place for place in places if place % ALIGNMENT]


def test_the_same_graph_gives_the_same_bytes(model, data):
    assert hashlib.sha256(convert(model).data).digest() == hashlib.sha256(data).digest()


def test_images_lie_channels_last_and_the_entry_says_so(data):
    found = parsed(data)
    graph = found.subgraphs[0]
    assert list(graph.tensors[graph.inputs[0]].shape) == [1, 64, 64, 3]
    entry = next(item for item in found.metadata if item.name == METADATA.encode())
    inputs, outputs = read_ports(bytes(found.buffers[entry.buffer].data))
    assert [(port.name, port.layout, port.free_batch) for port in inputs] == [("x", (0, 2, 3, 1), True)]
    assert [port.layout for port in outputs] == [(0, 1)]


def test_every_operator_has_the_version_of_its_type(data):
    found = parsed(data)
    names = {value: name for name, value in vars(schema().BuiltinOperator).items() if name.isupper()}
    for code in found.operatorCodes:
        wanted = {table[names[code.builtinCode]] for table in versions().values() if names[code.builtinCode] in table}
        assert code.version in wanted | {1, 3, 5, 6}
        assert code.deprecatedBuiltinCode == min(code.builtinCode, 127)


def test_tensor_names_are_unique(data):
    names = [tensor.name for tensor in tensors(data)]
    assert len(set(names)) == len(names)


def test_an_integer_network_runs_on_the_kernels_that_specify_tflite():
    """They round in fixed point: near, not equal."""
    model = quantized(zoo.NETS["resnet18"](), zoo.example_input("resnet18", 8, seed=2))
    picture = zoo.example_input("resnet18", 1)["x"]
    (found,) = on_reference_kernels(convert(model).data, [np.ascontiguousarray(picture.transpose(0, 2, 3, 1))])
    from shoestring.runtimes import registry

    with registry.get("onnxruntime").load(model, 1) as session:
        wanted = session.run({"x": picture})[session.outputs[0].name]
    assert found.argmax() == wanted.argmax()
    assert np.abs(found - wanted).max() <= 0.1 * np.ptp(wanted)


def test_a_writer_of_plain_files():
    flat = Flat()
    x, y = flat.tensor("x", (2, 3), "float32"), flat.tensor("x", (2, 4), "float32")
    assert flat.plain([1, 2], "int32") == flat.plain([1, 2], "int32")
    assert flat.plain([1, 2], "int32") != flat.plain([1, 2], "float32")
    flat.operator(
        "FULLY_CONNECTED", (x, flat.plain(np.ones((4, 3)), "float32"), NO_TENSOR), y, options="FullyConnected"
    )
    (found,) = on_reference_kernels(flat.finish((x,), (y,), ""), [np.ones((2, 3), np.float32)])
    np.testing.assert_array_equal(found, np.full((2, 4), 3.0))


def test_an_output_that_is_an_input_or_stands_twice():
    sketch = Sketch(1, 4)
    made = sketch.add("Transpose", sketch.add("Relu", "x"), perm=[1, 0])
    back = sketch.add("Transpose", made, perm=[1, 0])
    from shoestring.runtimes.litert import LiteRtRuntime

    with LiteRtRuntime().load(convert(sketch.bytes(made, back)).data, 1) as session:
        answers = session.run({"x": np.array([[-1, 2, -3, 4]], np.float32)})
    np.testing.assert_array_equal(answers[made], [[0], [2], [0], [4]])
    np.testing.assert_array_equal(answers[back], [[0, 2, 0, 4]])
