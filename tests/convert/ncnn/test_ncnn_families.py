"""The families of networks that people run on cheap chips, in each precision: both sides agree as far as stated."""

from __future__ import annotations

import platform
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import zoo
from ncnn_sides import as_written, furthest, on_ncnn, on_ort, quantized
from shoestring.convert.ncnn import convert
from shoestring.runtimes.ncnn_file import unpack

FP32 = 1e-4
"""Of the largest answer: what a different order of sums and Winograd's transforms make of 50 layers."""
HALF = 1e-4 if "x86" in platform.machine() else 0.2
"""On x86 only the weights are halves, and the reference has the same; on Arm activations are too."""


def with_half_weights(model: bytes) -> bytes:
    """Weights of layers rounded to 16 bits, as the file keeps them."""
    proto = onnx.ModelProto.FromString(model)
    layers = {node.input[1] for node in proto.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")}
    for item in proto.graph.initializer:
        if item.name in layers:
            value = numpy_helper.to_array(item).astype(np.float16).astype(np.float32)
            item.CopyFrom(numpy_helper.from_array(value, item.name))
    return proto.SerializeToString()


def rms(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    return max(float(np.sqrt(((a[name] - b[name]) ** 2).mean())) for name in a)


@pytest.mark.parametrize("name", zoo.NETS)
def test_fp32_is_the_same_function(name):
    model, feeds = zoo.NETS[name](), zoo.example_input(name, 2)
    assert furthest(on_ncnn(model, feeds), on_ort(model, feeds)) < FP32


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large", "yolov3_tiny", "transformer"])
def test_fp16_is_the_function_of_half_weights(name):
    model, feeds = zoo.NETS[name](), zoo.example_input(name, 2)
    assert furthest(on_ncnn(model, feeds, "fp16"), on_ort(with_half_weights(model), feeds)) < HALF
    assert len(convert(model, "fp16").data) < 0.6 * len(convert(model, "fp32").data)


@pytest.mark.parametrize("name", zoo.NETS)
def test_every_quantized_layer_works_in_8_bits(name):
    model = quantized(zoo.NETS[name](), zoo.example_input(name, 8, seed=2))
    proto = onnx.ModelProto.FromString(model)
    dequantized = {node.output[0] for node in proto.graph.node if node.op_type == "DequantizeLinear"}
    layers = [n for n in proto.graph.node if n.op_type in ("Conv", "Gemm", "MatMul") and n.input[1] in dequantized]
    converted = convert(model, "int8")
    words = Counter(unpack(converted.data, "model").param.split())
    assert words["8=1"] + words["8=101"] == len(layers) > 0
    assert not [note for note in converted.notes if "works in float" in note]


@pytest.mark.parametrize("name", zoo.NETS)
def test_int8_is_no_further_from_the_quantized_graph_than_that_is_from_the_model(name):
    model, feeds = zoo.NETS[name](), zoo.example_input(name, 8)
    integer = quantized(model, zoo.example_input(name, 16, seed=2))
    wanted, exact = as_written(integer, feeds), on_ort(model, feeds)
    found = on_ncnn(integer, feeds, "int8")
    assert rms(found, wanted) < 1.1 * rms(wanted, exact)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_two_threads_answer_as_one(precision):
    model, feeds = zoo.NETS["mobilenet_v2"](), zoo.example_input("mobilenet_v2", 2)
    if precision == "int8":
        model = quantized(model, feeds)
    one, two = (on_ncnn(model, feeds, precision, threads) for threads in (1, 2))
    assert furthest(two, one) < FP32


def test_the_same_model_gives_the_same_bytes():
    model = zoo.NETS["squeezenet"]()
    assert convert(model, "fp32").data == convert(model, "fp32").data
