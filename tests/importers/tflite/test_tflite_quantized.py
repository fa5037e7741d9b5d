"""A quantized file becomes the float network that it stands for: LiteRT's integers are within a step of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("ai_edge_litert")

from shoestring.importers.tflite import activations
from tflite_files import RELU, RELU6, SAME, TfliteNet, input_details, output_details, run_litert, session_of

ZERO = {"INT8": -3, "UINT8": 125, "INT16": 0}
IN_SCALE = 0.02
PER_STEP = 1.02  # one rounding of the result is half a step; that of the bias and of the multiplier, the rest


def quantized(kind: str, scale: float, zero: int | None = None) -> dict[str, Any]:
    return {"kind": kind, "scale": scale, "zero": ZERO[kind] if zero is None else zero}


def weights(net: TfliteNet, shape: tuple[int, ...], kind: str, axis: int, by_channel: bool) -> tuple[int, Any]:
    """Integer weights, and their scales."""
    channels = shape[axis] if by_channel else 1
    scale = net.chance.uniform(0.002, 0.01, channels).astype(np.float32)
    if kind == "UINT8":
        data = net.chance.integers(0, 255, shape, np.uint8, endpoint=True)
        return net.const(data, scale=scale, zero=120, axis=axis), scale
    data = net.chance.integers(-127, 127, shape, np.int8, endpoint=True)
    return net.const(data, scale=scale, axis=axis), scale


def layer(
    net: TfliteNet, what: str, kind: str = "INT8", *, by_channel: bool = True, out: dict[str, Any], act: int = 0
) -> None:
    if what == "FULLY_CONNECTED":
        x, shape, axis, result = net.input(2, 24, **quantized(kind, IN_SCALE)), (6, 24), 0, (2, 6)
        options: dict[str, Any] = {"options": "FullyConnectedOptions"}
    elif what == "CONV_2D":
        x, shape, axis, result = net.input(1, 6, 7, 3, **quantized(kind, IN_SCALE)), (6, 3, 3, 3), 0, (1, 3, 4, 6)
        options = {"options": "Conv2DOptions", "padding": SAME, "strideH": 2, "strideW": 2}
    else:
        x, shape, axis, result = net.input(1, 6, 7, 6, **quantized(kind, IN_SCALE)), (1, 3, 3, 6), 3, (1, 6, 7, 6)
        options = {"options": "DepthwiseConv2DOptions", "padding": SAME, "strideH": 1, "strideW": 1}
        options["depthMultiplier"] = 1
    weight, scale = weights(net, shape, kind, axis, by_channel)
    biases = np.broadcast_to(np.asarray(IN_SCALE * scale, np.float32), 6 if by_channel else 1)
    dtype = np.int64 if kind == "INT16" else np.int32
    bias = net.const(net.chance.integers(-9000, 9000, 6).astype(dtype), scale=biases, axis=0)
    net.add(what, [x, weight, bias], result, to=out, fusedActivationFunction=act, **options)


def steps(data: bytes, folder: Path, *, seed: int = 0) -> float:
    """Largest difference between LiteRT's real numbers and those of the import, in steps of the result's scale."""
    session = session_of(data, folder)
    chance, feeds, images = np.random.default_rng(seed), [], {}
    for detail, value in zip(input_details(data), session.get_inputs(), strict=True):
        limits = np.iinfo(detail["dtype"])
        low, high = max(limits.min, -1000), min(limits.max, 1000)
        x = chance.integers(low, high, detail["shape"], detail["dtype"], endpoint=True)
        scale, zero = detail["quantization"]
        real = ((x.astype(np.float64) - zero) * scale).astype(np.float32)
        images[value.name] = real.transpose(0, 3, 1, 2) if real.ndim == 4 else real
        feeds.append(x)
    found = []
    for here, there, detail in zip(
        session.run(None, images), run_litert(data, feeds), output_details(data), strict=True
    ):
        scale, zero = detail["quantization"]
        plain = here.transpose(0, 2, 3, 1) if here.ndim == 4 else here
        limits = np.iinfo(there.dtype)
        low, high = ((limit - zero) * scale for limit in (limits.min, limits.max))
        real = (there.astype(np.float64) - zero) * scale
        assert len(np.unique(there)) > 10
        found.append(float(np.abs(np.clip(plain, low, high) - real).max() / scale))
    return max(found)


@pytest.mark.parametrize("kind", ["INT8", "UINT8", "INT16"])
@pytest.mark.parametrize("what", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
@pytest.mark.parametrize("by_channel", [True, False])
def test_layers_with_weights(tmp_path: Path, kind: str, what: str, by_channel: bool) -> None:
    if kind == "UINT8" and by_channel:
        pytest.skip("unsigned weights have one scale")
    net = TfliteNet(1)
    scale = 0.002 if kind == "INT16" else 0.05
    layer(net, what, kind, by_channel=by_channel, out=quantized(kind, scale))
    # for 16 bits LiteRT keeps 15 bits of the multiplier, which shows in results of thousands of steps
    assert steps(net.data(), tmp_path) < (2 if kind == "INT16" else PER_STEP)


def test_weights_read_with_the_wrong_scales_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from shoestring.importers.tflite import tensors

    net = TfliteNet(1)
    layer(net, "CONV_2D", out=quantized("INT8", 0.05))
    right = tensors.dequantize

    def turned(data: Any, how: tensors.Quantization) -> Any:
        return right(data, tensors.Quantization(how.scale[::-1], how.zero_point, how.axis))

    monkeypatch.setattr(tensors, "dequantize", turned)
    assert steps(net.data(), tmp_path) > 3


@pytest.mark.parametrize(
    ("scale", "zero", "act", "expected"),
    [
        (0.03, -128, 0, "Relu"),  # the range of integers is the activation
        (6 / 255, -128, 0, "Clip"),
        (0.03, -128, RELU, "Relu"),
        (6 / 255, -128, RELU6, "Clip"),
        (0.03, -100, 0, None),
    ],
)
def test_a_range_that_begins_at_zero_is_an_activation(
    tmp_path: Path, scale: float, zero: int, act: int, expected: str | None
) -> None:
    net = TfliteNet(2)
    layer(net, "CONV_2D", out=quantized("INT8", scale, zero), act=act)
    assert steps(net.data(), tmp_path) < PER_STEP
    kinds = [node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node]
    assert kinds == ["Conv"] + ([expected] if expected else [])


def test_a_dropped_activation_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clip to the integers' range that `steps` makes stands for saturation; below zero nothing hides."""
    net = TfliteNet(2)
    layer(net, "CONV_2D", out=quantized("INT8", 0.03, -128))
    x = net.outputs or list(net.operators[-1].outputs)
    net.add("ADD", [int(x[0]), int(x[0])], (1, 3, 4, 6), to=quantized("INT8", 0.07, 0), options="AddOptions")
    assert steps(net.data(), tmp_path) < 2.5
    monkeypatch.setattr(activations, "finish", activations.finish)
    monkeypatch.setattr("shoestring.importers.tflite.convolutions.finish", _without_activation)
    assert steps(net.data(), tmp_path) > 5


def _without_activation(graph: Any, operator: Any, x: str, layout: str) -> None:
    graph.give(operator.outputs[0], layout, x)


ELEMENTWISE = {
    "ADD": ("AddOptions", 0.05, 1.6),
    "SUB": ("SubOptions", 0.05, 1.6),
    "MUL": ("MulOptions", 0.05, 1.1),
}


@pytest.mark.parametrize("kind", ["INT8", "UINT8"])
@pytest.mark.parametrize("what", ELEMENTWISE)
def test_sums_and_products(tmp_path: Path, kind: str, what: str) -> None:
    options, scale, bound = ELEMENTWISE[what]
    net = TfliteNet()
    inputs = [net.input(1, 4, 5, 3, **quantized(kind, s)) for s in (0.02, 0.03)]
    net.add(what, inputs, (1, 4, 5, 3), to=quantized(kind, scale), options=options)
    assert steps(net.data(), tmp_path) < bound


POOL = {"filterHeight": 4, "filterWidth": 4, "strideH": 4, "strideW": 4}
OTHERS: dict[str, tuple[str, dict[str, Any], float, int, float]] = {
    # options, fields, scale and zero point of the result, bound in steps
    "AVERAGE_POOL_2D": ("Pool2DOptions", POOL, IN_SCALE, -3, 1),
    "LOGISTIC": ("", {}, 1 / 256, -128, 1.1),
    "TANH": ("", {}, 1 / 128, 0, 1.5),
    "HARD_SWISH": ("", {}, IN_SCALE, -3, 1.6),
    "SOFTMAX": ("SoftmaxOptions", {"beta": 1.0}, 1 / 256, -128, 1.6),
    "LEAKY_RELU": ("LeakyReluOptions", {"alpha": 0.1}, IN_SCALE, -3, 1.1),
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_operators(tmp_path: Path, what: str) -> None:
    options, fields, scale, zero, bound = OTHERS[what]
    net = TfliteNet()
    x = net.input(1, 8, 8, 4, **quantized("INT8", IN_SCALE))
    shape = (1, 2, 2, 4) if "POOL" in what else (1, 8, 8, 4)
    net.add(what, [x], shape, to=quantized("INT8", scale, zero), options=options, **fields)
    assert steps(net.data(), tmp_path) <= bound


def test_quantize_and_dequantize_around_it_leave_nothing(tmp_path: Path) -> None:
    net = TfliteNet()
    x = net.input(1, 4, 4, 2)
    x = net.add("QUANTIZE", [x], (1, 4, 4, 2), to=quantized("INT8", 0.02), options="QuantizeOptions")
    x = net.add("RELU", [x], (1, 4, 4, 2), to=quantized("INT8", 0.02))
    net.add("DEQUANTIZE", [x], (1, 4, 4, 2), options="DequantizeOptions")
    session = session_of(net.data(), tmp_path)
    assert [node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node] == ["Relu"]
    x0 = np.random.default_rng(0).uniform(-2, 2, (1, 4, 4, 2)).astype(np.float32)
    (expected,) = run_litert(net.data(), [x0])
    (got,) = session.run(None, {session.get_inputs()[0].name: x0.transpose(0, 3, 1, 2)})
    assert np.abs(got.transpose(0, 2, 3, 1) - expected).max() <= 0.0101


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_weights_stored_narrow_in_a_float_network(tmp_path: Path, kind: str) -> None:
    """Half floats behind DEQUANTIZE, and the integer weights of dynamic-range quantization."""
    net = TfliteNet()
    x = net.input(2, 12)
    if kind == "float16":
        weight = net.const(net.chance.normal(size=(5, 12)).astype(np.float16))
        weight = net.add("DEQUANTIZE", [weight], (5, 12), options="DequantizeOptions")
    else:
        data = net.chance.integers(-127, 127, (5, 12), np.int8, endpoint=True)
        weight = net.add("DEQUANTIZE", [net.const(data, scale=0.01)], (5, 12), options="DequantizeOptions")
    net.add("FULLY_CONNECTED", [x, weight, -1], (2, 5), options="FullyConnectedOptions")
    session = session_of(net.data(), tmp_path)
    feed = np.random.default_rng(0).uniform(-2, 2, (2, 12)).astype(np.float32)
    (expected,) = run_litert(net.data(), [feed])
    (got,) = session.run(None, {session.get_inputs()[0].name: feed})
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
