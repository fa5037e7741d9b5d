"""Small transformer encoders with seeded weights and outlier channels, in each form that exporters write."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nets import Net

WIDTH, HIDDEN, TOKENS, HEADS = 32, 64, 12, 4
OUTLIERS = (3, 17)
OUTLIER_SIZE = 40.0


def layer_norm(net: Net, x: str, output: str, form: str, outliers: tuple[int, ...] = OUTLIERS) -> str:
    """`operator`, or `decomposed` into mean, difference, square, root and a Mul/Add tail; `outliers` are channels."""
    gamma = np.ones(WIDTH, np.float32)
    gamma[list(outliers)] = OUTLIER_SIZE
    scale = net.constant(f"{output}_gamma", gamma)
    shift = net.constant(f"{output}_beta", net.rng.normal(0, 0.1, WIDTH).astype(np.float32))
    if form == "operator":
        return net.node("LayerNormalization", [x, scale, shift], output, axis=-1, epsilon=1e-5)
    mean = net.node("ReduceMean", [x], f"{output}_mean", axes=[-1], keepdims=1)
    off = net.node("Sub", [x, mean], f"{output}_off")
    square = net.node("Pow", [off, net.constant("two", np.float32(2))], f"{output}_square")
    spread = net.node("ReduceMean", [square], f"{output}_spread", axes=[-1], keepdims=1)
    safe = net.node("Add", [spread, net.constant("small", np.float32(1e-5))], f"{output}_safe")
    plain = net.node("Div", [off, net.node("Sqrt", [safe], f"{output}_root")], f"{output}_plain")
    return net.node("Add", [net.node("Mul", [plain, scale], f"{output}_scaled"), shift], output)


def linear(net: Net, x: str, output: str, k: int, n: int, *, gemm: bool = False) -> str:
    if gemm:
        return net.gemm(x, output, k, n)
    weight = net.constant(f"{output}_w", net.rng.normal(0, k**-0.5, (k, n)).astype(np.float32))
    bias = net.constant(f"{output}_b", net.rng.normal(0, 0.1, n).astype(np.float32))
    return net.node("Add", [net.node("MatMul", [x, weight], f"{output}_product"), bias], output)


def attention(net: Net, x: str, output: str) -> str:
    shape = net.constant("split", np.array([0, 0, HEADS, WIDTH // HEADS], np.int64))
    parts = []
    for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        made = net.node("Reshape", [linear(net, x, f"{output}_{part}", WIDTH, WIDTH), shape], f"{output}_{part}_split")
        parts.append(net.node("Transpose", [made], f"{output}_{part}_heads", perm=order))
    query, key, value = parts
    shares = net.node("Softmax", [net.node("MatMul", [query, key], f"{output}_qk")], f"{output}_shares", axis=-1)
    back = net.node(
        "Transpose", [net.node("MatMul", [shares, value], f"{output}_pv")], f"{output}_t", perm=[0, 2, 1, 3]
    )
    joined = net.node("Reshape", [back, net.constant("join", np.array([0, 0, WIDTH], np.int64))], f"{output}_joined")
    return linear(net, joined, f"{output}_out", WIDTH, WIDTH)


def encoder(form: str = "operator", *, first: bool = True, seed: int = 0) -> onnx.ModelProto:
    """One block and a head; `first`: norms stand before the products (pre-norm, as in ViT), else behind the sums.

    Args:
        form: of the normalisations, `operator` or `decomposed`.
        first: in a pre-norm block nothing but products reads a norm's output.
    """
    net = Net(seed)
    x = "x"
    if first:
        x = net.node("Add", [x, attention(net, layer_norm(net, x, "norm1", form), "att")], "sum1")
        hidden = net.node("Relu", [linear(net, layer_norm(net, x, "norm2", form), "up", WIDTH, HIDDEN)], "hidden")
        x = net.node("Add", [x, linear(net, hidden, "down", HIDDEN, WIDTH)], "sum2")
    else:
        x = layer_norm(net, net.node("Add", [x, attention(net, x, "att")], "sum1"), "norm1", form)
        hidden = net.node("Relu", [linear(net, x, "up", WIDTH, HIDDEN)], "hidden")
        x = layer_norm(net, net.node("Add", [x, linear(net, hidden, "down", HIDDEN, WIDTH)], "sum2"), "norm2", form)
    pooled = net.node("ReduceMean", [x], "pooled", axes=[1], keepdims=0)
    linear(net, pooled, "logits", WIDTH, 10, gemm=True)
    return close(net)


def close(net: Net) -> onnx.ModelProto:
    """The nodes of `net` as a model from x (N, TOKENS, WIDTH) to logits (N, 10)."""
    info = helper.make_tensor_value_info
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in net.weights.items()]
    inputs = [info("x", TensorProto.FLOAT, ["N", TOKENS, WIDTH])]
    outputs = [info("logits", TensorProto.FLOAT, ["N", 10])]
    graph = helper.make_graph(net.nodes, "encoder", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return onnx.shape_inference.infer_shapes(model)


def tokens(count: int, seed: int = 1) -> np.ndarray:
    """(count, TOKENS, WIDTH), float32."""
    return np.random.default_rng(seed).normal(0, 1, (count, TOKENS, WIDTH)).astype(np.float32)
