"""Torch and ONNX Runtime give the same answers, before and after slimming."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nets
from shoestring.base.errors import ModelError, UsageError
from shoestring.compress.graph import Graph
from training import students

torch = students.torch_or_skip()

from shoestring.training import blocks, network, rounding, slim  # noqa: E402

SIDE = nets.SIDE
ONE_INPUT: dict[str, tuple[str, dict[str, Any], list[np.ndarray]]] = {
    "relu": ("Relu", {}, []),
    "relu6": ("Clip", {}, [np.float32(0), np.float32(6)]),
    "leaky": ("LeakyRelu", {"alpha": 0.2}, []),
    "sigmoid": ("Sigmoid", {}, []),
    "tanh": ("Tanh", {}, []),
    "hard-sigmoid": ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}, []),
    "hard-swish": ("HardSwish", {}, []),
    "softmax": ("Softmax", {"axis": 1}, []),
    "add": ("Add", {}, [np.float32(0.5)]),
    "sub": ("Sub", {}, [np.float32(0.5)]),
    "mul": ("Mul", {}, [np.float32(-2)]),
    "div": ("Div", {}, [np.float32(3)]),
    "max-pool": ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, []),
    "max-pool-ceil": ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, []),
    "max-pool-uneven": ("MaxPool", {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}, []),
    "average-pool": ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, []),
    "average-pool-padding": (
        "AveragePool",
        {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        [],
    ),
    "global-average": ("GlobalAveragePool", {}, []),
    "global-max": ("GlobalMaxPool", {}, []),
    "mean": ("ReduceMean", {"keepdims": 0}, [np.array([2, 3], np.int64)]),
    "flatten": ("Flatten", {}, []),
    "reshape": ("Reshape", {}, [np.array([0, -1], np.int64)]),
    "identity": ("Identity", {}, []),
}
CONVOLUTIONS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "plain": ((8, 3, 3, 3), {}),
    "padded": ((8, 3, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "uneven": ((8, 3, 3, 3), {"pads": [0, 0, 1, 1], "strides": [2, 2]}),
    "oblong": ((8, 3, 1, 5), {"pads": [0, 2, 0, 2]}),
    "dilated": ((8, 3, 3, 3), {"dilations": [2, 2], "pads": [2, 2, 2, 2]}),
    "depthwise": ((6, 1, 3, 3), {"group": 3}),
}


def graph_of(net: nets.Net, result: str, shape: list[object]) -> Graph:
    return Graph(net.model(["N", 3, SIDE, SIDE], shape, result))


def assert_equal(graph: Graph) -> None:
    x = nets.images(3)
    made = network.Network(graph).eval()
    with torch.no_grad():
        given = made(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(given, students.answers(graph, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ONE_INPUT)
def test_an_operator_gives_what_onnx_runtime_gives(name: str) -> None:
    operator, attributes, constants = ONE_INPUT[name]
    net = nets.Net(1)
    names = [net.constant(f"c{place}", value) for place, value in enumerate(constants)]
    net.node(operator, ["image", *names], "result", **attributes)
    assert_equal(graph_of(net, "result", ["a"] * (2 if name in ("mean", "flatten", "reshape") else 4)))


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_gives_what_onnx_runtime_gives(name: str, bias: bool) -> None:
    shape, attributes = CONVOLUTIONS[name]
    net = nets.Net(2)
    names = ["image", net.constant("w", net.rng.normal(0, 1, shape).astype(np.float32))]
    if bias:
        names.append(net.constant("b", net.rng.normal(0, 1, shape[0]).astype(np.float32)))
    net.node("Conv", names, "result", **attributes)
    assert_equal(graph_of(net, "result", ["a"] * 4))


@pytest.mark.parametrize("attributes", [{"transB": 1}, {"alpha": 0.5, "beta": 2.0}, {}])
@pytest.mark.parametrize("operator", ["Gemm", "MatMul"])
def test_a_matrix_product_gives_what_onnx_runtime_gives_and_is_written_back(
    operator: str, attributes: dict[str, Any]
) -> None:
    net = nets.Net(3)
    x = net.node("Flatten", ["image"], "flat")
    size = (7, 3 * SIDE**2) if attributes.get("transB") and operator == "Gemm" else (3 * SIDE**2, 7)
    names = [x, net.constant("w", net.rng.normal(0, 0.1, size).astype(np.float32))]
    if operator == "Gemm":
        names.append(net.constant("b", net.rng.normal(0, 1, 7).astype(np.float32)))
    net.node(operator, names, "result", **(attributes if operator == "Gemm" else {}))
    graph = graph_of(net, "result", ["a", 7])
    assert_equal(graph)
    written = network.to_graph(network.Network(graph), graph)
    x_values = nets.images(2)
    np.testing.assert_allclose(
        students.answers(written, x_values), students.answers(graph, x_values), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_concat_and_resize_give_what_onnx_runtime_gives(mode: str) -> None:
    net = nets.Net(4)
    more = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} if mode == "nearest" else {}
    scales = net.constant("scales", np.array([1, 1, 0.5, 0.5], np.float32))
    small = net.node("Resize", ["image", "", scales], "small", mode=mode, **more)
    back = net.constant("back", np.array([1, 1, 2, 2], np.float32))
    large = net.node("Resize", [small, "", back], "large", mode=mode, **more)
    net.node("Concat", ["image", large], "result", axis=1)
    assert_equal(graph_of(net, "result", ["a"] * 4))


REFUSED: dict[str, tuple[str, dict[str, Any], list[np.ndarray]]] = {
    "Erf": ("Erf", {}, []),
    "shape": ("Mul", {}, [np.ones((1, 3, 1, 1), np.float32)]),
    "automatic": ("MaxPool", {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}, []),
    "batch, features": ("Reshape", {}, [np.array([0, 3, -1], np.int64)]),
}


@pytest.mark.parametrize("words", REFUSED)
def test_an_operator_without_a_twin_is_refused_by_name(words: str) -> None:
    operator, attributes, constants = REFUSED[words]
    net = nets.Net(5)
    names = [net.constant(f"c{place}", value) for place, value in enumerate(constants)]
    net.node(operator, ["image", *names], "result", **attributes)
    with pytest.raises(ModelError, match=words) as caught:
        network.Network(graph_of(net, "result", ["a"] * (3 if operator == "Reshape" else 4)))
    assert operator in caught.value.message


def test_a_second_output_is_refused() -> None:
    graph = students.wide_net()
    graph.proto.graph.output.add().name = "stem_act"
    with pytest.raises(ModelError, match="1 inputs and 2 outputs"):
        network.Network(graph)


def test_norms_come_and_go_without_a_change_of_the_function() -> None:
    graph = students.wide_net()
    x = torch.from_numpy(nets.images(16))
    plain = network.Network(graph).eval()
    normed = network.Network(graph)
    network.add_norms(normed, [x[:8], x[8:]])
    normed.eval()
    assert len(normed.norms) == 10
    with torch.no_grad():
        torch.testing.assert_close(normed(x), plain(x), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(network.fused(normed)(x), plain(x), rtol=1e-4, atol=1e-4)
        normed.train()
        torch.testing.assert_close(normed(x), plain(x), rtol=1e-2, atol=1e-2)  # its own batch has the same statistics
    np.testing.assert_allclose(
        students.answers(network.to_graph(normed, graph), x.numpy()), plain(x).detach().numpy(), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_a_slimmed_net_keeps_its_interface_and_its_onnx_twin(ratio: float) -> None:
    students.pruning_or_skip()
    graph = students.wide_net()
    x = torch.from_numpy(nets.images(8))
    student = network.Network(graph)
    network.add_norms(student, [x])
    slim.slim(student, graph, ratio, x[:1])
    written = network.to_graph(student, graph)
    student.eval()
    with torch.no_grad():
        expected = student(x).numpy()
    assert expected.shape == (8, 5)
    np.testing.assert_allclose(students.answers(written, x.numpy()), expected, rtol=1e-3, atol=1e-3)
    assert (written.inputs, written.outputs) == (graph.inputs, graph.outputs)
    before = sum(value.size for value in graph.weights.values())
    assert sum(value.size for value in written.weights.values()) < (1 - 0.8 * ratio) * before
    for old, new in zip(graph.nodes, written.nodes, strict=True):
        if new.op_type == "Conv":
            channels = len(graph.weights[old.input[1]])
            assert len(written.weights[new.input[1]]) == slim.channels_left(channels, ratio)


def attention_net() -> Graph:
    """Squeeze and excitation, a concatenation and a strided shortcut: what couples channels in other ways."""
    net = nets.Net(6)
    x = net.node("Relu", [net.conv("image", "stem", 3, 32)], "stem_act")
    mean = net.node("GlobalAveragePool", [x], "squeeze")
    gate = net.node("Relu", [net.conv(mean, "reduce", 32, 16, kernel=1)], "reduce_act")
    gate = net.node("HardSigmoid", [net.conv(gate, "expand", 16, 32, kernel=1)], "gate")
    x = net.node("Mul", [x, gate], "excited")
    x = net.node("Concat", [x, net.conv(x, "more", 32, 16)], "joined", axis=1)
    y = net.node("HardSwish", [net.conv(x, "branch", 48, 48)], "branch_act")
    x = net.node("Add", [net.conv(x, "shortcut", 48, 48, kernel=1), y], "sum")
    x = net.node("Flatten", [net.node("GlobalAveragePool", [x], "pooled")], "flat")
    net.gemm(x, "logits", 48, 5)
    return Graph(net.model(["N", 3, SIDE, SIDE], ["N", 5]))


@pytest.mark.parametrize("ratio", [0.25, 0.5])
def test_attention_concatenation_and_shortcuts_are_slimmed_in_step(ratio: float) -> None:
    students.pruning_or_skip()
    graph, x = attention_net(), torch.from_numpy(nets.images(8))
    student = network.Network(graph)
    network.add_norms(student, [x])
    assert len(student.norms) == 4  # not after the two that see one position
    slim.slim(student, graph, ratio, x[:1])
    written = network.to_graph(student, graph)
    student.eval()
    with torch.no_grad():
        np.testing.assert_allclose(students.answers(written, x.numpy()), student(x).numpy(), rtol=1e-3, atol=1e-3)
    assert len(written.to_bytes()) < (1 - 0.7 * ratio) * len(graph.to_bytes())


def test_a_slimmed_net_with_a_smaller_image_and_fewer_blocks_still_runs() -> None:
    students.pruning_or_skip()
    graph = students.wide_net()
    name = blocks.residual_blocks(graph)[1].name
    small = blocks.with_smaller_image(blocks.without_blocks(graph, [name]), 2)
    x = torch.from_numpy(nets.images(4))
    student = network.Network(small)
    network.add_norms(student, [x])
    slim.slim(student, small, 0.5, x[:1])
    written = network.to_graph(student, small)
    assert students.answers(written, x.numpy()).shape == (4, 5)
    assert [len(value.type.tensor_type.shape.dim) for value in written.proto.graph.input] == [4]


@pytest.mark.parametrize(
    ("channels", "ratio", "left"), [(32, 0.5, 16), (16, 0.875, 8), (10, 0.5, 8), (4, 0.9, 4), (960, 0.25, 720)]
)
def test_channels_stay_in_steps_of_eight_and_never_all_go(channels: int, ratio: float, left: int) -> None:
    assert slim.channels_left(channels, ratio) == left


def test_an_impossible_ratio_is_refused() -> None:
    graph = students.wide_net()
    with pytest.raises(UsageError, match="below 1, got 1"):
        slim.slim(network.Network(graph), graph, 1.0, torch.zeros(1, 3, SIDE, SIDE))


def test_rounding_while_training_gives_what_the_8_bit_model_gives() -> None:
    from shoestring.compress.scheme import scheme_for

    graph, x = students.wide_net(), nets.images(32)
    scheme = scheme_for(())
    quantized = rounding.quantize(graph, [x[:16], x[16:]], scheme, 1)
    exact = network.Network(graph).eval()
    rounded = network.Network(graph).eval()
    rounding.round_while_training(rounded, rounding.grids(quantized, scheme), scheme)
    wanted = students.answers(quantized, x)
    with torch.no_grad():
        near = np.abs(rounded(torch.from_numpy(x)).numpy() - wanted).mean()
        far = np.abs(exact(torch.from_numpy(x)).numpy() - wanted).mean()
    assert near < 0.5 * far  # ties fall to either side, and a step moves what follows
    rounding.exact(rounded)
    with torch.no_grad():
        torch.testing.assert_close(rounded(torch.from_numpy(x)), exact(torch.from_numpy(x)))


def test_gradients_pass_through_the_rounding() -> None:
    from shoestring.compress.scheme import scheme_for

    graph, x = students.wide_net(), nets.images(8)
    scheme = scheme_for(())
    rounded = network.Network(graph)
    rounding.round_while_training(rounded, rounding.grids(rounding.quantize(graph, [x], scheme, 1), scheme), scheme)
    rounded(torch.from_numpy(x)).square().sum().backward()
    assert all(float(layer.weight.grad.abs().sum()) > 0 for layer in rounded.layers.values())
