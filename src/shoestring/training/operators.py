"""What each operator of a normalised graph is in torch.

The definitions are those of the ONNX operator specification (https://onnx.ai/onnx/operators/, opsets 17 to 24). What is
not here is refused by name: a student that computes something else than its ONNX file would be trained in vain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.compress.graph import Graph, attribute
from shoestring.training.lib import functional, nn, torch

if TYPE_CHECKING:
    import onnx

Function = Callable[..., Any]


def weighted(graph: Graph, node: onnx.NodeProto) -> tuple[Any, list[int]] | None:
    """The layer of a Conv, Gemm or MatMul with constant float32 weights, and the zeros to put around its input.

    Returns:
        The module and the padding in the order of torch's `pad`, [] for none; None for another operator.
    """
    if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in graph.weights:
        return None
    weight = graph.weights[node.input[1]]
    bias = graph.weights.get(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if weight.dtype != np.float32 or (bias is None and len(node.input) > 2 and node.input[2]):
        raise _refusal(node, f"weights of type {weight.dtype}, or a bias that is computed")
    if node.op_type == "Conv":
        return _conv(node, weight, bias)
    if weight.ndim != 2 or attribute(node, "transA", 0):
        raise _refusal(node, f"weights of shape {weight.shape} or a transposed input")
    if node.op_type == "Gemm":
        weight = weight if attribute(node, "transB", 0) else weight.T
        weight = weight * np.float32(attribute(node, "alpha", 1.0))
        if bias is not None:
            bias = np.broadcast_to(bias.reshape(-1), (len(weight),)) * np.float32(attribute(node, "beta", 1.0))
    else:
        weight = weight.T
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    _fill(layer, weight, bias)
    return layer, []


def function(graph: Graph, node: onnx.NodeProto) -> Function:
    """The operator without weights as a function of its data inputs. Raises ModelError for an unknown one."""
    maker = _MAKERS.get(node.op_type)
    if maker is None or len(node.output) != 1:
        raise _refusal(node, "no twin in torch")
    return maker(graph, node)


def data_inputs(graph: Graph, node: onnx.NodeProto) -> list[str]:
    """Inputs that are computed."""
    return [name for name in node.input if name and name not in graph.weights]


def _refusal(node: onnx.NodeProto, why: str) -> ModelError:
    return ModelError(
        f"operator {node.op_type} ({node.name or node.output[0]}) cannot be trained: {why}",
        hint=f"operators that can: Conv, Gemm, MatMul, {', '.join(sorted(_MAKERS))}",
    )


def _fill(layer: Any, weight: np.ndarray, bias: np.ndarray | None) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias.reshape(-1)))


def _pads(node: onnx.NodeProto) -> tuple[list[int], bool]:
    """Padding in the order of torch's `pad`, and whether both sides are equal. Only images have it."""
    if attribute(node, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise _refusal(node, "its padding is automatic; export with explicit padding")
    top, left, bottom, right = attribute(node, "pads", [0, 0, 0, 0])
    return [left, right, top, bottom], left == right and top == bottom


def _conv(node: onnx.NodeProto, weight: np.ndarray, bias: np.ndarray | None) -> tuple[Any, list[int]]:
    if weight.ndim != 4:
        raise _refusal(node, f"weights of shape {weight.shape}, only images are taken")
    pads, even = _pads(node)
    group = attribute(node, "group", 1)
    layer = nn.Conv2d(
        weight.shape[1] * group,
        weight.shape[0],
        weight.shape[2:],
        stride=tuple(attribute(node, "strides", [1, 1])),
        padding=(pads[2], pads[0]) if even else 0,
        dilation=tuple(attribute(node, "dilations", [1, 1])),
        groups=group,
        bias=bias is not None,
    )
    _fill(layer, weight, bias)
    return layer, [] if even else pads


def _scalar(graph: Graph, name: str, default: float) -> float:
    return float(graph.weights[name].reshape(-1)[0]) if name else default


def _clip(graph: Graph, node: onnx.NodeProto) -> Function:
    names = [*node.input[1:], "", ""][:2]
    if any(name and name not in graph.weights for name in names):
        raise _refusal(node, "its limits are computed")
    return partial(_clamp, _scalar(graph, names[0], -math.inf), _scalar(graph, names[1], math.inf))


def _clamp(low: float, high: float, x: Any) -> Any:
    return functional.relu(x) if (low, high) == (0.0, math.inf) else functional.hardtanh(x, low, high)


def _plain(call: Function) -> Callable[[Graph, onnx.NodeProto], Function]:
    return lambda _graph, _node: call


def _binary(call: Function) -> Callable[[Graph, onnx.NodeProto], Function]:
    """Two computed inputs, or one and a constant of one value: a constant for each channel could not be slimmed."""

    def make(graph: Graph, node: onnx.NodeProto) -> Function:
        constants = [graph.weights.get(name) for name in node.input]
        for value in constants:
            if value is not None and value.size != 1:
                raise _refusal(node, f"a constant of shape {value.shape}, only single values are taken")
        held = [None if value is None else float(value.reshape(-1)[0]) for value in constants]
        return partial(_with_constants, call, held)

    return make


def _with_constants(call: Function, held: list[float | None], *computed: Any) -> Any:
    rest = iter(computed)
    return call(*(next(rest) if value is None else value for value in held))


def _max_pool(_: Graph, node: onnx.NodeProto) -> Function:
    pads, even = _pads(node)
    ceil = bool(attribute(node, "ceil_mode", 0))
    if not even and ceil:
        raise _refusal(node, f"uneven padding {pads} with ceil_mode")
    return partial(
        functional.max_pool2d if even else partial(_padded_max_pool, pads),
        kernel_size=tuple(attribute(node, "kernel_shape", None)),
        stride=tuple(attribute(node, "strides", [1, 1])),
        padding=(pads[2], pads[0]) if even else 0,
        dilation=tuple(attribute(node, "dilations", [1, 1])),
        ceil_mode=ceil,
    )


def _padded_max_pool(pads: list[int], x: Any, **options: Any) -> Any:
    return functional.max_pool2d(functional.pad(x, pads, value=-math.inf), **options)


def _average_pool(_: Graph, node: onnx.NodeProto) -> Function:
    pads, even = _pads(node)
    if not even or attribute(node, "ceil_mode", 0) or set(attribute(node, "dilations", [1])) != {1}:
        raise _refusal(node, "uneven padding, ceil_mode or dilations")
    return partial(
        functional.avg_pool2d,
        kernel_size=tuple(attribute(node, "kernel_shape", None)),
        stride=tuple(attribute(node, "strides", [1, 1])),
        padding=(pads[2], pads[0]),
        count_include_pad=bool(attribute(node, "count_include_pad", 0)),
    )


def _flatten(_: Graph, node: onnx.NodeProto) -> Function:
    if attribute(node, "axis", 1) != 1:
        raise _refusal(node, f"axis {attribute(node, 'axis', 1)}, only 1 is taken")
    return partial(torch.flatten, start_dim=1)


def _reshape(graph: Graph, node: onnx.NodeProto) -> Function:
    """Only as Flatten: any other target shape speaks of channels that a student may not have."""
    shape = graph.weights.get(node.input[1])
    if shape is None or shape.size != 2 or int(shape.reshape(-1)[1]) == 0:
        raise _refusal(node, "only a reshape to (batch, features) is taken")
    return partial(torch.flatten, start_dim=1)


def _mean(graph: Graph, node: onnx.NodeProto) -> Function:
    axes = graph.weights.get(node.input[1]) if len(node.input) > 1 else attribute(node, "axes", None)
    if axes is None:
        raise _refusal(node, "its axes are computed, or all")
    dims = tuple(int(axis) for axis in np.asarray(axes).reshape(-1))
    return partial(torch.mean, dim=dims, keepdim=bool(attribute(node, "keepdims", 1)))


def _concat(graph: Graph, node: onnx.NodeProto) -> Function:
    if any(name in graph.weights for name in node.input):
        raise _refusal(node, "a constant among its inputs")
    axis = attribute(node, "axis", None)
    return lambda *parts: torch.cat(parts, dim=axis)


def _resize(graph: Graph, node: onnx.NodeProto) -> Function:
    mode = attribute(node, "mode", b"nearest").decode()
    place = attribute(node, "coordinate_transformation_mode", b"half_pixel").decode()
    scales = graph.weights.get(node.input[2]) if len(node.input) > 2 else None
    if scales is None or scales.size != 4 or tuple(scales[:2]) != (1, 1) or attribute(node, "antialias", 0):
        raise _refusal(node, "only constant scales of height and width, without antialiasing, are taken")
    factor = (float(scales[2]), float(scales[3]))
    if mode == "linear" and place in ("half_pixel", "pytorch_half_pixel"):
        return partial(functional.interpolate, scale_factor=factor, mode="bilinear", align_corners=False)
    rounding = attribute(node, "nearest_mode", b"round_prefer_floor").decode()
    if mode == "nearest" and place == "asymmetric" and rounding == "floor":
        return partial(functional.interpolate, scale_factor=factor, mode="nearest")
    raise _refusal(node, f"mode {mode} with {place} coordinates")


def _softmax(_: Graph, node: onnx.NodeProto) -> Function:
    return partial(functional.softmax, dim=attribute(node, "axis", -1))


def _leaky(_: Graph, node: onnx.NodeProto) -> Function:
    return partial(functional.leaky_relu, negative_slope=attribute(node, "alpha", 0.01))


def _hard_sigmoid(_: Graph, node: onnx.NodeProto) -> Function:
    alpha, beta = attribute(node, "alpha", 0.2), attribute(node, "beta", 0.5)
    return lambda x: functional.hardtanh(alpha * x + beta, 0.0, 1.0)


_MAKERS: dict[str, Callable[[Graph, onnx.NodeProto], Function]] = {
    "Add": _binary(lambda a, b: a + b),
    "AveragePool": _average_pool,
    "Clip": _clip,
    "Concat": _concat,
    "Div": _binary(lambda a, b: a / b),
    "Flatten": _flatten,
    "GlobalAveragePool": _plain(lambda x: functional.adaptive_avg_pool2d(x, 1)),
    "GlobalMaxPool": _plain(lambda x: functional.adaptive_max_pool2d(x, 1)),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _plain(lambda x: functional.hardswish(x)),
    "Identity": _plain(lambda x: x),
    "LeakyRelu": _leaky,
    "MaxPool": _max_pool,
    "Mul": _binary(lambda a, b: a * b),
    "ReduceMean": _mean,
    "Relu": _plain(lambda x: functional.relu(x)),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": _plain(lambda x: torch.sigmoid(x)),
    "Softmax": _softmax,
    "Sub": _binary(lambda a, b: a - b),
    "Tanh": _plain(lambda x: torch.tanh(x)),
}
