"""Every operator that can go, by itself: ONNX Runtime and ncnn agree."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from onnx import helper

from ncnn_sides import furthest, on_ncnn, on_ort, small

RNG = np.random.default_rng(5)
IMAGE, ROWS, VECTOR = ("n", 6, 9, 7), ("n", 5, 8), ("n", 10)
TOLERANCE = 2e-5


def f(*shape: int, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    return RNG.uniform(low, high, shape).astype(np.float32)


def i(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def one(operator: str, shape: tuple[Any, ...], *constants: np.ndarray | None, **attributes: Any) -> bytes:
    """A model of one operator that reads x and constants."""
    weights = {f"c{place}": value for place, value in enumerate(constants) if value is not None}
    names = ["x", *(f"c{place}" if value is not None else "" for place, value in enumerate(constants))]
    return small([helper.make_node(operator, names, ["y"], **attributes)], {"x": shape}, weights)


def two(operator: str, first: tuple[Any, ...], second: tuple[Any, ...], **attributes: Any) -> bytes:
    return small([helper.make_node(operator, ["x", "z"], ["y"], **attributes)], {"x": first, "z": second}, {})


MODELS: dict[str, Callable[[], bytes]] = {
    **{
        name: (lambda name=name: one(name, IMAGE))
        for name in (
            "Abs",
            "Neg",
            "Floor",
            "Ceil",
            "Exp",
            "Sin",
            "Cos",
            "Atan",
            "Sigmoid",
            "Tanh",
            "Erf",
            "Softplus",
            "Mish",
            "Elu",
            "HardSigmoid",
            "HardSwish",
            "LeakyRelu",
            "Relu",
            "Softmax",
            "GlobalAveragePool",
            "GlobalMaxPool",
            "Identity",
            "Flatten",
        )
    },
    **{f"{name} of what is positive": (lambda name=name: positive(name)) for name in ("Sqrt", "Log", "Reciprocal")},
    "HardSigmoid, other": lambda: one("HardSigmoid", IMAGE, alpha=0.3, beta=0.4),
    "Elu, other": lambda: one("Elu", ROWS, alpha=0.7),
    "Gelu": lambda: gelu("none"),
    "Gelu by tanh": lambda: gelu("tanh"),
    "Clip": lambda: one("Clip", IMAGE, np.float32(-0.5), np.float32(0.25)),
    "Clip from below": lambda: one("Clip", VECTOR, np.float32(-0.5)),
    "PRelu, one slope": lambda: one("PRelu", IMAGE, np.float32([0.2])),
    "PRelu, many": lambda: one("PRelu", IMAGE, f(6, 1, 1)),
    "Pow 2": lambda: one("Pow", IMAGE, np.float32(2)),
    "SiLU in two nodes": lambda: gate("Sigmoid"),
    "hard swish in two nodes": lambda: gate("HardSigmoid", alpha=1 / 6, beta=0.5),
    "no hard swish": lambda: gate("HardSigmoid", alpha=0.2, beta=0.5),
    "Mish in three nodes": lambda: mish(),
    **{
        f"{name} of a scalar": (lambda name=name: one(name, IMAGE, np.float32(1.5)))
        for name in ("Add", "Sub", "Mul", "Div", "Max", "Min")
    },
    **{f"scalar {name}": (lambda name=name: scalar_first(name)) for name in ("Sub", "Div", "Pow")},
    **{
        f"{name} of channels": (lambda name=name: one(name, IMAGE, f(6, 1, 1))) for name in ("Add", "Sub", "Mul", "Div")
    },
    "Add of the last axis": lambda: one("Add", ROWS, f(8)),
    "Add of an image of its own": lambda: one("Mul", IMAGE, f(1, 6, 9, 7)),
    "Add of columns": lambda: one("Add", IMAGE, f(7)),
    "Add of two": lambda: two("Add", IMAGE, IMAGE),
    "Mul by a gate": lambda: two("Mul", IMAGE, ("n", 6, 1, 1)),
    "Mul of a gate": lambda: two("Mul", ("n", 6, 1, 1), IMAGE),
    "Mul by a mask": lambda: two("Mul", IMAGE, ("n", 1, 9, 7)),
    "Sub of vectors": lambda: two("Sub", VECTOR, VECTOR),
    "Max of two": lambda: two("Max", IMAGE, IMAGE),
    "Sum of two": lambda: two("Sum", IMAGE, IMAGE),
    "x with itself": lambda: small([helper.make_node("Mul", ["x", "x"], ["y"])], {"x": IMAGE}, {}),
    "Conv": lambda: one("Conv", IMAGE, f(4, 6, 3, 3), f(4), pads=[1, 1, 1, 1]),
    "Conv, many channels": lambda: one("Conv", ("n", 16, 9, 7), f(32, 16, 3, 3), f(32), pads=[1, 1, 1, 1]),
    "Conv, uneven": lambda: one("Conv", IMAGE, f(4, 6, 3, 2), pads=[2, 0, 1, 1], strides=[2, 1]),
    "Conv, dilated": lambda: one("Conv", IMAGE, f(4, 6, 3, 3), f(4), dilations=[2, 1]),
    "Conv, SAME_UPPER": lambda: one("Conv", IMAGE, f(4, 6, 3, 3), f(4), strides=[2, 2], auto_pad="SAME_UPPER"),
    "Conv, grouped": lambda: one("Conv", IMAGE, f(4, 3, 3, 3), f(4), group=2),
    "Conv, depthwise": lambda: one("Conv", IMAGE, f(6, 1, 5, 5), f(6), group=6, pads=[2, 2, 2, 2]),
    "Conv of a sequence": lambda: one("Conv", ROWS, f(4, 5, 3), f(4), pads=[1, 1]),
    "Conv of one pixel": lambda: one("Conv", ("n", 6, 1, 1), f(8, 6, 1, 1), f(8)),
    **{
        f"Conv then {name}": (lambda name=name: conv_then(name))
        for name in ("Relu", "LeakyRelu", "HardSwish", "Sigmoid", "Mish")
    },
    "ConvTranspose": lambda: one("ConvTranspose", IMAGE, f(6, 4, 3, 3), f(4), strides=[2, 2], pads=[1, 1, 1, 1]),
    "ConvTranspose, padded behind": lambda: one(
        "ConvTranspose", IMAGE, f(6, 4, 3, 3), strides=[2, 2], pads=[1, 0, 1, 0], output_padding=[1, 1]
    ),
    "ConvTranspose, depthwise": lambda: one("ConvTranspose", IMAGE, f(6, 1, 2, 2), f(6), group=6, strides=[2, 2]),
    "Gemm": lambda: one("Gemm", VECTOR, f(10, 4), f(4), alpha=0.5, beta=2.0),
    "Gemm, transposed": lambda: one("Gemm", VECTOR, f(4, 10), f(4), transB=1),
    "MatMul of rows": lambda: one("MatMul", ROWS, f(8, 3)),
    "MatMul of an image": lambda: one("MatMul", IMAGE, f(7, 3)),
    "MatMul of two": lambda: two("MatMul", ("n", 4, 5, 8), ("n", 4, 8, 3)),
    "MatMul of two rows": lambda: two("MatMul", ("n", 5, 8), ("n", 8, 3)),
    "MatMul by one": lambda: two("MatMul", ("n", 4, 5, 8), ("n", 1, 8, 3)),
    **{
        f"MaxPool {k}": (lambda a=a: one("MaxPool", IMAGE, **a))
        for k, a in {
            "2": {"kernel_shape": [2, 2], "strides": [2, 2]},
            "3, padded": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
            "2, over the edge": {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
            "uneven": {"kernel_shape": [3, 2], "strides": [1, 2], "pads": [1, 0, 0, 1]},
        }.items()
    },
    **{
        f"AveragePool {k}": (lambda a=a: one("AveragePool", IMAGE, **a))
        for k, a in {
            "2": {"kernel_shape": [2, 2], "strides": [2, 2]},
            "3, padded": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
            "3, padding counts": {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
            "2, over the edge": {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
        }.items()
    },
    "MaxPool of a sequence": lambda: one("MaxPool", ROWS, kernel_shape=[2], strides=[2]),
    "ReduceMean of the image": lambda: one("ReduceMean", IMAGE, i(2, 3), keepdims=0),
    "ReduceMean of rows": lambda: one("ReduceMean", ROWS, i(-1), keepdims=1),
    "ReduceMean of tokens": lambda: one("ReduceMean", ROWS, i(1), keepdims=0),
    "ReduceSum of channels": lambda: one("ReduceSum", IMAGE, i(1), keepdims=1),
    "ReduceMax of columns": lambda: one("ReduceMax", IMAGE, i(3), keepdims=0),
    "ReduceL2 of rows": lambda: one("ReduceL2", ROWS, i(2), keepdims=1),
    **{f"Softmax {axis}": (lambda axis=axis: one("Softmax", IMAGE, axis=axis)) for axis in (1, 2, 3)},
    "LayerNormalization": lambda: one("LayerNormalization", ROWS, f(8), f(8), epsilon=1e-5),
    "LayerNormalization, no shift": lambda: one("LayerNormalization", ROWS, f(8), axis=-1),
    "LayerNormalization of two axes": lambda: one("LayerNormalization", ROWS, f(5, 8), f(5, 8), axis=1),
    "InstanceNormalization": lambda: one("InstanceNormalization", IMAGE, f(6), f(6)),
    "BatchNormalization": lambda: one("BatchNormalization", IMAGE, f(6), f(6), f(6), f(6, low=0.5, high=2)),
    "LRN": lambda: one("LRN", IMAGE, size=3, alpha=0.1, beta=0.6, bias=1.5),
    "Reshape": lambda: one("Reshape", IMAGE, i(0, 18, 21)),
    "Reshape to five axes": lambda: one("Reshape", IMAGE, i(0, 2, 3, 9, 7)),
    "Squeeze": lambda: one("Squeeze", ("n", 6, 1, 1), i(2, 3)),
    "Unsqueeze": lambda: one("Unsqueeze", VECTOR, i(2, 3)),
    **{
        f"Transpose {p}": (lambda p=p: one("Transpose", IMAGE, perm=[0, *(n + 1 for n in p)]))
        for p in permutations(range(3))
    },
    **{
        f"Transpose {p}": (lambda p=p: one("Transpose", ("n", 2, 3, 4, 5), perm=[0, *(n + 1 for n in p)]))
        for p in permutations(range(4))
    },
    "shuffled channels": lambda: shuffle(),
    **{f"Concat {axis}": (lambda axis=axis: two("Concat", IMAGE, IMAGE, axis=axis)) for axis in (1, 2, 3)},
    "Concat of a constant": lambda: small(
        [helper.make_node("Concat", ["c", "x"], ["y"], axis=1)], {"x": (1, 4, 8)}, {"c": f(1, 1, 8)}
    ),
    **{f"Slice {axis}": (lambda axis=axis: one("Slice", IMAGE, i(1), i(-1), i(axis))) for axis in (1, 2, 3)},
    "Slice of two axes": lambda: one("Slice", IMAGE, i(1, 2), i(4, 1000), i(1, 3)),
    "Split": lambda: splitted(),
    "Gather one": lambda: one("Gather", ROWS, np.int64(0), axis=1),
    "Gather some": lambda: one("Gather", ROWS, i(2, 3), axis=2),
    "Pad": lambda: one("Pad", IMAGE, i(0, 0, 1, 2, 0, 0, 0, 3), np.float32(0.5)),
    "Pad of channels": lambda: one("Pad", IMAGE, i(0, 1, 0, 0, 0, 2, 0, 0)),
    "Pad by reflection": lambda: one("Pad", IMAGE, i(0, 0, 2, 2, 0, 0, 2, 2), mode="reflect"),
    "Pad by edges": lambda: one("Pad", IMAGE, i(0, 0, 2, 2, 0, 0, 2, 2), mode="edge"),
    "Resize, nearest": lambda: resized(
        2, 2, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    ),
    "Resize, nearest by halves": lambda: resized(2, 3, mode="nearest", coordinate_transformation_mode="half_pixel"),
    "Resize, linear": lambda: resized(2, 2, mode="linear", coordinate_transformation_mode="half_pixel"),
    "Resize, linear, odd": lambda: resized(
        4 / 3, 1, mode="linear", coordinate_transformation_mode="pytorch_half_pixel"
    ),
    "Resize, linear, corners": lambda: resized(2, 2, mode="linear", coordinate_transformation_mode="align_corners"),
    "DepthToSpace DCR": lambda: one("DepthToSpace", ("n", 8, 3, 5), blocksize=2, mode="DCR"),
    "DepthToSpace CRD": lambda: one("DepthToSpace", ("n", 8, 3, 5), blocksize=2, mode="CRD"),
}


def positive(operator: str) -> bytes:
    nodes = [helper.make_node("Exp", ["x"], ["e"]), helper.make_node(operator, ["e"], ["y"])]
    return small(nodes, {"x": IMAGE}, {})


def gelu(approximate: str) -> bytes:
    return small([helper.make_node("Gelu", ["x"], ["y"], approximate=approximate)], {"x": ROWS}, {}, opset=20)


def gate(operator: str, **attributes: Any) -> bytes:
    nodes = [helper.make_node(operator, ["x"], ["g"], **attributes), helper.make_node("Mul", ["x", "g"], ["y"])]
    return small(nodes, {"x": IMAGE}, {})


def mish() -> bytes:
    nodes = [helper.make_node("Softplus", ["x"], ["s"]), helper.make_node("Tanh", ["s"], ["t"])]
    return small([*nodes, helper.make_node("Mul", ["x", "t"], ["y"])], {"x": IMAGE}, {})


def scalar_first(operator: str) -> bytes:
    nodes = [helper.make_node("Exp", ["x"], ["e"]), helper.make_node(operator, ["c", "e"], ["y"])]
    return small(nodes, {"x": IMAGE}, {"c": np.float32(1.5)})


def conv_then(operator: str) -> bytes:
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"]), helper.make_node(operator, ["c"], ["y"])]
    return small(nodes, {"x": IMAGE}, {"w": f(8, 6, 1, 1), "b": f(8)})


def shuffle() -> bytes:
    """As ShuffleNet moves channels between groups: five axes on the way."""
    nodes = [
        helper.make_node("Reshape", ["x", "apart"], ["r"]),
        helper.make_node("Transpose", ["r"], ["t"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Reshape", ["t", "joined"], ["y"]),
    ]
    return small(nodes, {"x": (1, 6, 9, 7)}, {"apart": i(1, 2, 3, 9, 7), "joined": i(1, 6, 9, 7)})


def splitted() -> bytes:
    nodes = [
        helper.make_node("Split", ["x", "sizes"], ["a", "b"], axis=1),
        helper.make_node("Sub", ["b", "a"], ["c"]),
        helper.make_node("Concat", ["a", "c", "b"], ["y"], axis=2),
    ]
    return small(nodes, {"x": IMAGE}, {"sizes": i(3, 3)})


def resized(rows: float, columns: float, **attributes: Any) -> bytes:
    """By its scales, as most exporters write it."""
    return one("Resize", IMAGE, None, np.float32([1, 1, rows, columns]), **attributes)


def feeds_for(model: bytes, batch: int = 2) -> dict[str, np.ndarray]:
    import onnx

    given = {}
    for value in onnx.ModelProto.FromString(model).graph.input:
        shape = [side.dim_value or batch for side in value.type.tensor_type.shape.dim]
        given[value.name] = RNG.standard_normal(shape).astype(np.float32)
    return given


@pytest.mark.parametrize("name", MODELS)
def test_both_sides_agree(name):
    model = MODELS[name]()
    feeds = feeds_for(model)
    assert furthest(on_ncnn(model, feeds), on_ort(model, feeds)) < TOLERANCE


def test_a_wrong_weight_is_noticed():
    """The comparison is not blind."""
    weight = f(4, 6, 3, 3)
    right, wrong = one("Conv", IMAGE, weight), one("Conv", IMAGE, weight[::-1])
    feeds = feeds_for(right)
    assert furthest(on_ncnn(wrong, feeds), on_ort(right, feeds)) > 100 * TOLERANCE
