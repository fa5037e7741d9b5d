"""The benchmark's float networks once more in TensorFlow, channels last: the road to LiteRT. Imports no shoestring."""

from __future__ import annotations

from typing import Any

import onnx
import tensorflow as tf
from onnx import helper, numpy_helper


def function_of(model: onnx.ModelProto) -> Any:
    """A concrete function of one float image (1, H, W, C) that computes what the ONNX graph computes.

    Raises:
        NotImplementedError: an operator that none of the benchmark's networks has.
    """
    graph = model.graph
    shape = [axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim]
    weights = {item.name: numpy_helper.to_array(item) for item in graph.initializer}

    def run(image: Any) -> Any:
        values = {graph.input[0].name: image}
        for node in graph.node:
            values[node.output[0]] = _step(node, values, weights)
        return [values[item.name] for item in graph.output]

    spec = tf.TensorSpec((shape[0], *shape[2:], shape[1]), tf.float32)
    return tf.function(run).get_concrete_function(spec)


def _step(node: Any, values: dict[str, Any], weights: dict[str, Any]) -> Any:
    given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    inputs = [values[name] for name in node.input if name in values]
    constants = [weights[name] for name in node.input if name in weights]
    if node.op_type not in _OPERATORS:
        raise NotImplementedError(node.op_type)
    return _OPERATORS[node.op_type](inputs, constants, given)


def _clip(inputs: Any, constants: Any, given: dict[str, Any]) -> Any:
    if [float(bound) for bound in constants] != [0.0, 6.0]:
        raise NotImplementedError(f"Clip to {constants}")
    return tf.nn.relu6(inputs[0])


def _gemm(inputs: Any, constants: Any, given: dict[str, Any]) -> Any:
    return tf.matmul(inputs[0], constants[0].T if given.get("transB") else constants[0]) + constants[1]


def _resize(inputs: Any, constants: Any, given: dict[str, Any]) -> Any:
    """The only one in these networks: nearest, to twice the size."""
    _, height, width, _ = inputs[0].shape
    return tf.image.resize(inputs[0], (2 * height, 2 * width), "nearest")


def _conv(inputs: Any, constants: Any, given: dict[str, Any]) -> Any:
    x, (weight, bias) = inputs[0], constants
    kernel, strides, groups = weight.shape[2:], given.get("strides", [1, 1]), given.get("group", 1)
    pads = given.get("pads", [0, 0, 0, 0])
    padding = "SAME" if _is_same(x, kernel, strides, pads) else "VALID"
    if padding == "VALID" and any(pads):
        x = tf.pad(x, [[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]])
    if groups == 1:
        y = tf.nn.conv2d(x, weight.transpose(2, 3, 1, 0), strides, padding)
    elif groups == x.shape[3] == weight.shape[0]:
        y = tf.nn.depthwise_conv2d(x, weight.transpose(2, 3, 0, 1), [1, *strides, 1], padding)
    else:
        raise NotImplementedError(f"Conv with {groups} groups")
    return tf.nn.bias_add(y, bias)


def _max_pool(inputs: Any, constants: Any, given: dict[str, Any]) -> Any:
    x = inputs[0]
    kernel, strides, pads = given["kernel_shape"], given["strides"], given.get("pads", [0, 0, 0, 0])
    if _is_same(x, kernel, strides, pads):
        return tf.nn.max_pool2d(x, kernel, strides, "SAME")
    if any(pads):  # every padded pool of these networks follows a ReLU, so that zeros never win
        x = tf.pad(x, [[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]])
    return tf.nn.max_pool2d(x, kernel, strides, "VALID")


def _is_same(x: Any, kernel: Any, strides: Any, pads: list[int]) -> bool:
    """Whether TensorFlow's SAME pads exactly so."""
    wanted = []
    for size, window, stride in zip(x.shape[1:3], kernel, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        wanted.append((total // 2, total - total // 2))
    return [(pads[0], pads[2]), (pads[1], pads[3])] == wanted


_OPERATORS = {
    "Conv": _conv,
    "Clip": _clip,
    "Gemm": _gemm,
    "Resize": _resize,
    "MaxPool": _max_pool,
    "Relu": lambda inputs, constants, given: tf.nn.relu(inputs[0]),
    "LeakyRelu": lambda inputs, constants, given: tf.nn.leaky_relu(inputs[0], given["alpha"]),
    "Add": lambda inputs, constants, given: inputs[0] + inputs[1],
    "Concat": lambda inputs, constants, given: tf.concat(inputs, 3),
    "GlobalAveragePool": lambda inputs, constants, given: tf.reduce_mean(inputs[0], (1, 2)),
    "Flatten": lambda inputs, constants, given: inputs[0],
}
