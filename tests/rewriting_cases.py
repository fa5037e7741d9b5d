"""One small graph for each rewrite, drawn at random, and a way to spoil what the rewrite made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from rewriting import graph
from rewriting_spoilers import (
    late,
    moved,
    operator,
    other_mode,
    raise_padding,
    scaled,
    setting,
    shift_pads,
    swap,
    turned,
)
from shoestring.compress.graph import Graph

Draw = Any


@dataclass(frozen=True)
class Case:
    """How to try one rewrite.

    Args:
        build: draws a graph that it fits.
        spoil: changes the rewritten graph into a wrong one.
    """

    build: Callable[[Draw], Graph]
    spoil: Callable[[Graph], None]


def _rng(draw: Draw) -> np.random.Generator:
    return np.random.default_rng(draw(st.integers(0, 2**31)))


def _shape(draw: Draw, least: int = 1, channels: int | None = None) -> tuple[int, int, int, int]:
    side = st.integers(max(least, 4), 9)
    return 1, channels or draw(st.integers(2, 5)), draw(side), draw(side)


def _f32(*values: float) -> Any:
    return np.float32(values[0]) if len(values) == 1 else np.array(values, np.float32)


def _unary(op: str, opset: int = 18, **attrs: Any) -> Callable[[Draw], Graph]:
    return lambda draw: graph([(op, ["x"], ["y"], attrs)], {}, _shape(draw), opset=opset)


def _leaky(draw: Draw) -> Graph:
    slope = draw(st.sampled_from([-0.5, 0.0, 0.01, 0.1, 0.125, 1.0]))
    return graph([("LeakyRelu", ["x"], ["y"], {"alpha": slope})], {}, _shape(draw))


def _prelu(draw: Draw) -> Graph:
    shape = _shape(draw)
    slope = _rng(draw).normal(0, 1, (shape[1], 1, 1)).astype(np.float32)
    return graph([("PRelu", ["x", "s"], ["y"], {})], {"s": slope}, shape)


def _hardsigmoid(draw: Draw) -> Graph:
    attrs = {"alpha": draw(st.floats(0.05, 0.8)), "beta": draw(st.floats(0.1, 0.9))}
    return graph([("HardSigmoid", ["x"], ["y"], attrs)], {}, _shape(draw))


def _silu(draw: Draw) -> Graph:
    order = draw(st.permutations(["x", "s"]))
    return graph([("Sigmoid", ["x"], ["s"], {}), ("Mul", list(order), ["y"], {})], {}, _shape(draw))


def _clip(draw: Draw) -> Graph:
    low, high = sorted(draw(st.tuples(st.floats(-1, 1, width=32), st.floats(-1, 1, width=32))))
    ends = draw(st.sampled_from([["l", "h"], ["l"], ["", "h"]]))
    return graph([("Clip", ["x", *ends], ["y"], {})], {"l": _f32(low - 0.1), "h": _f32(high + 0.1)}, _shape(draw))


def _clip_relu(draw: Draw) -> Graph:
    ends = draw(st.sampled_from([["l"], ["l", "h"]]))
    return graph([("Clip", ["x", *ends], ["y"], {})], {"l": _f32(0), "h": np.finfo(np.float32).max}, _shape(draw))


def _div(draw: Draw) -> Graph:
    shape = _shape(draw)
    divisor = _rng(draw).uniform(0.5, 3, draw(st.sampled_from([(), (shape[1], 1, 1)]))).astype(np.float32)
    return graph([("Div", ["x", "c"], ["y"], {})], {"c": divisor}, shape)


def _reciprocal(draw: Draw) -> Graph:
    nodes = [("Exp", ["x"], ["e"], {}), ("Reciprocal", ["e"], ["y"], {})]
    return graph(nodes, {}, _shape(draw))


def _square(draw: Draw) -> Graph:
    return graph([("Pow", ["x", "two"], ["y"], {})], {"two": _f32(2)}, _shape(draw))


def _sum(draw: Draw) -> Graph:
    shape, rng = _shape(draw), _rng(draw)
    names = [f"c{i}" for i in range(draw(st.integers(1, 3)))]
    weights = {name: rng.normal(0, 1, shape).astype(np.float32) for name in names}
    return graph([("Sum", ["x", *names], ["y"], {})], weights, shape)


def _layernorm(draw: Draw) -> Graph:
    shape, axis, rng = _shape(draw), draw(st.sampled_from([-1, -2, 2])), _rng(draw)
    names = draw(st.sampled_from([["s"], ["s", "b"]]))
    weights = {name: rng.normal(1, 1, shape[axis:]).astype(np.float32) for name in names}
    attrs = {"axis": axis, "epsilon": draw(st.sampled_from([1e-5, 1e-3]))}
    opset = draw(st.sampled_from([17, 18]))
    return graph([("LayerNormalization", ["x", *names], ["y"], attrs)], weights, shape, opset=opset)


def _pads(draw: Draw, most: int = 2) -> list[int]:
    return [draw(st.integers(0, most)) for _ in range(3)] + [draw(st.integers(1, most))]


def _whole(pads: list[int]) -> Any:
    return np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64)


def _pad_conv(draw: Draw) -> Graph:
    shape, rng = _shape(draw), _rng(draw)
    weights = {"p": _whole(_pads(draw)), "w": rng.normal(0, 1, (3, shape[1], 3, 3)).astype(np.float32)}
    attrs = {
        "pads": draw(st.sampled_from([[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0]])),
        "strides": [draw(st.integers(1, 2))] * 2,
    }
    return graph([("Pad", ["x", "p"], ["q"], {}), ("Conv", ["q", "w"], ["y"], attrs)], weights, shape)


def _pad_average(draw: Draw) -> Graph:
    attrs = {
        "kernel_shape": [3, 3],
        "strides": [draw(st.integers(1, 2))] * 2,
        **draw(st.sampled_from([{}, {"count_include_pad": 1}])),
    }
    return graph(
        [("Pad", ["x", "p"], ["q"], {}), ("AveragePool", ["q"], ["y"], attrs)], {"p": _whole(_pads(draw))}, _shape(draw)
    )


def _pad_max(draw: Draw) -> Graph:
    attrs = {"kernel_shape": [3, 3], "strides": [draw(st.integers(1, 2))] * 2}
    value, first = draw(
        st.sampled_from([(-np.inf, "Identity"), (float(np.finfo(np.float32).min), "Identity"), (0, "Relu")])
    )
    nodes = [(first, ["x"], ["a"], {}), ("Pad", ["a", "p", "v"], ["q"], {}), ("MaxPool", ["q"], ["y"], attrs)]
    return graph(nodes, {"p": _whole(_pads(draw)), "v": _f32(value)}, _shape(draw))


def _out_of_max(draw: Draw) -> Graph:
    attrs = {"kernel_shape": [3, 3], "strides": [draw(st.integers(1, 2))] * 2, "ceil_mode": draw(st.integers(0, 1))}
    attrs["pads"] = draw(st.sampled_from([[1, 1, 1, 1], [0, 0, 1, 1], [0, 1, 0, 1], [1, 0, 1, 0]]))
    nodes = [("Sub", ["x", "five"], ["s"], {}), ("Relu", ["s"], ["a"], {}), ("MaxPool", ["a"], ["p"], attrs)]
    # A step that sees zeros: without it a spoiled pad would hide among them.
    return graph([*nodes, ("Add", ["p", "one"], ["y"], {})], {"five": _f32(-0.5), "one": _f32(1)}, _shape(draw))


def _out_of_average(draw: Draw) -> Graph:
    attrs = {"kernel_shape": [3, 3], "strides": [draw(st.integers(1, 2))] * 2, "count_include_pad": 1}
    attrs["pads"] = draw(st.sampled_from([[1, 1, 1, 1], [0, 0, 1, 1], [1, 0, 1, 0]]))
    return graph([("AveragePool", ["x"], ["y"], attrs)], {}, _shape(draw))


def _steps(draw: Draw) -> Graph:
    starts, ends = (
        [draw(st.sampled_from([0, 1, 2, -8])) for _ in "hw"],
        [draw(st.sampled_from([2**62, -1, 4])) for _ in "hw"],
    )
    weights = {"b": starts, "e": ends, "a": [2, 3], "s": [draw(st.integers(1, 3)), 2]}
    arrays = {name: np.array(value, np.int64) for name, value in weights.items()}
    return graph([("Slice", ["x", "b", "e", "a", "s"], ["y"], {})], arrays, (1, 3, 8, 9))


def _resize(draw: Draw, mode: str, grids: list[str], scales: Any = None, **attrs: Any) -> Graph:
    shape = _shape(draw)
    factors = scales or [1, 1, draw(st.integers(1, 3)), draw(st.integers(2, 3))]
    kept = {"mode": mode, "coordinate_transformation_mode": draw(st.sampled_from(grids)), **attrs}
    if draw(st.booleans()):
        sizes = np.array([int(size * factor) for size, factor in zip(shape, factors, strict=True)], np.int64)
        return graph([("Resize", ["x", "", "", "s"], ["y"], kept)], {"s": sizes}, shape)
    return graph([("Resize", ["x", "", "s"], ["y"], kept)], {"s": np.array(factors, np.float32)}, shape)


def _nearest(draw: Draw) -> Graph:
    grid, rounding = draw(
        st.sampled_from(
            [
                ("half_pixel", "round_prefer_floor"),
                ("half_pixel", "round_prefer_ceil"),
                ("tf_half_pixel_for_nn", "floor"),
                ("asymmetric", "floor"),
                ("pytorch_half_pixel", "round_prefer_floor"),
            ]
        )
    )
    return _resize(draw, "nearest", [grid], nearest_mode=rounding)


def _linear(draw: Draw) -> Graph:
    return _resize(draw, "linear", ["pytorch_half_pixel"])


def _pixel_shuffle(draw: Draw) -> Graph:
    block, channels = draw(st.integers(2, 3)), draw(st.integers(1, 3))
    height, width = draw(st.integers(2, 4)), draw(st.integers(2, 4))
    inner, perm = draw(
        st.sampled_from(
            [((channels, block, block), [0, 1, 4, 2, 5, 3]), ((block, block, channels), [0, 3, 4, 1, 5, 2])]
        )
    )
    weights = {"i": [1, *inner, height, width], "o": [1, channels, height * block, width * block]}
    nodes = [
        ("Reshape", ["x", "i"], ["a"], {}),
        ("Transpose", ["a"], ["b"], {"perm": perm}),
        ("Reshape", ["b", "o"], ["y"], {}),
    ]
    arrays = {name: np.array(value, np.int64) for name, value in weights.items()}
    return graph(nodes, arrays, (1, channels * block * block, height, width))


def _shuffle(draw: Draw) -> Graph:
    groups, each = draw(st.integers(2, 4)), draw(st.integers(2, 4))
    shape = _shape(draw, channels=groups * each)
    weights = {"i": np.array([1, groups, each, *shape[2:]], np.int64), "o": np.array(shape, np.int64)}
    perm = {"perm": [0, 2, 1, 3, 4]}
    nodes = [("Reshape", ["x", "i"], ["a"], {}), ("Transpose", ["a"], ["b"], perm), ("Reshape", ["b", "o"], ["y"], {})]
    return graph(nodes, weights, shape)


def _depth_to_space(draw: Draw) -> Graph:
    block, channels = draw(st.integers(2, 3)), draw(st.integers(1, 3))
    attrs = {"blocksize": block, "mode": draw(st.sampled_from(["DCR", "CRD"]))}
    return graph([("DepthToSpace", ["x"], ["y"], attrs)], {}, _shape(draw, channels=channels * block * block))


def _split(draw: Draw) -> Graph:
    axis, lengths = draw(st.sampled_from([1, 2, -1])), [draw(st.integers(1, 3)) for _ in range(3)]
    shape = [1, 4, 5, 6]
    shape[axis] = sum(lengths)
    nodes = [("Split", ["x", "l"], ["a", "b", "c"], {"axis": axis}), ("Concat", ["c", "a", "b"], ["y"], {"axis": axis})]
    return graph(nodes, {"l": np.array(lengths, np.int64)}, tuple(shape))


def _flatten(draw: Draw) -> Graph:
    return graph([("Flatten", ["x"], ["f"], {}), ("Sum", ["f"], ["y"], {})], {}, _shape(draw))


def _squeeze(draw: Draw) -> Graph:
    axes = draw(st.sampled_from([[2, 3], [-1], [2]]))
    return graph([("Squeeze", ["x", "a"], ["y"], {})], {"a": np.array(axes, np.int64)}, (1, 5, 1, 1))


def _softmax(draw: Draw) -> Graph:
    shape, axis = draw(st.sampled_from([((1, 9, 1, 1), 1), ((1, 9, 1, 1), -3), ((1, 1, 7, 1), 2)]))
    return graph([("Softmax", ["x"], ["y"], {"axis": axis})], {}, shape)


def _mean(draw: Draw) -> Graph:
    axes, attrs = draw(st.sampled_from([[2, 3], [-1, -2]])), {"keepdims": draw(st.integers(0, 1))}
    return graph([("ReduceMean", ["x", "a"], ["y"], attrs)], {"a": np.array(axes, np.int64)}, _shape(draw))


def _gemm(draw: Draw) -> Graph:
    rng, inner, outer = _rng(draw), draw(st.integers(2, 9)), draw(st.integers(2, 9))
    turned = draw(st.booleans())
    weights = {"w": rng.normal(0, 1, (outer, inner) if turned else (inner, outer)).astype(np.float32)}
    weights["c"] = rng.normal(0, 1, draw(st.sampled_from([(outer,), (1,), (1, outer)]))).astype(np.float32)
    attrs = {
        "transB": int(turned),
        "alpha": draw(st.sampled_from([1.0, 0.5])),
        "beta": draw(st.sampled_from([1.0, 2.0])),
    }
    names = draw(st.sampled_from([["w"], ["w", "c"]]))
    return graph([("Gemm", ["x", *names], ["y"], attrs)], weights, (draw(st.integers(1, 3)), inner))


CASES: dict[str, Case] = {
    "abs-as-max": Case(_unary("Abs"), operator("Max", "Min")),
    "clip-as-min-max": Case(_clip, lambda made: operator("Max", "Sum")(made) or operator("Min", "Sum")(made)),
    "clip-as-relu": Case(_clip_relu, operator("Relu", "Neg")),
    "depth-to-space-as-transposed-conv": Case(_depth_to_space, moved("places")),
    "div-as-mul": Case(_div, scaled("inverse")),
    "flatten-as-reshape": Case(_flatten, operator("Sum", "Neg")),
    "gelu-as-erf": Case(_unary("Gelu", 20), scaled("root")),
    "gelu-as-tanh": Case(_unary("Gelu", 20, approximate="tanh"), scaled("cubic", 4)),
    "gemm-as-conv": Case(_gemm, scaled("weight")),
    "hardsigmoid-as-clip": Case(_hardsigmoid, scaled("beta")),
    "hardswish-as-clip": Case(_unary("HardSwish"), scaled("three")),
    "hardswish-as-hardsigmoid": Case(_unary("HardSwish"), setting("HardSigmoid", "alpha", 0.2)),
    "layernorm-as-steps": Case(_layernorm, operator("Sqrt", "Identity")),
    "leaky-as-max": Case(_leaky, operator("Max", "Sum")),
    "linear-as-half-pixel": Case(_linear, setting("Resize", "coordinate_transformation_mode", "align_corners")),
    "mean-as-pool": Case(_mean, operator("GlobalAveragePool", "GlobalMaxPool")),
    "mish-as-tanh": Case(_unary("Mish"), operator("Softplus", "Softsign")),
    "nearest-as-asymmetric": Case(_nearest, setting("Resize", "nearest_mode", "ceil")),
    "nearest-as-transposed-conv": Case(_nearest, scaled("ones")),
    "neg-as-mul": Case(_unary("Neg"), scaled("minus")),
    "pad-into-average": Case(_pad_average, setting("AveragePool", "count_include_pad", 0)),
    "pad-into-conv": Case(_pad_conv, lambda made: shift_pads(made, "Conv")),
    "pad-into-max": Case(_pad_max, operator("MaxPool", "AveragePool")),
    "pad-out-of-average": Case(_out_of_average, raise_padding),
    "pad-out-of-max": Case(_out_of_max, raise_padding),
    "pixel-shuffle-as-depth-to-space": Case(_pixel_shuffle, other_mode),
    "pool-as-max": Case(_unary("GlobalMaxPool"), operator("ReduceMax", "ReduceMin")),
    "pool-as-mean": Case(_unary("GlobalAveragePool"), operator("ReduceMean", "ReduceSum")),
    "prelu-as-parts": Case(_prelu, operator("Min", "Max")),
    "reciprocal-as-div": Case(_reciprocal, scaled("one")),
    "shuffle-as-conv": Case(_shuffle, moved("order")),
    "shuffle-in-four": Case(_shuffle, turned),
    "silu-as-hardswish": Case(_silu, scaled("sixth", 2)),
    "softmax-as-vector": Case(_softmax, setting("Softmax", "axis", 0)),
    "split-as-slices": Case(_split, swap),
    "square-as-mul": Case(_square, operator("Mul", "Add")),
    "squeeze-as-reshape": Case(_squeeze, lambda made: made.weights.update({"y/shape": np.array([-1], np.int64)})),
    "steps-as-pool": Case(_steps, late),
    "sum-as-adds": Case(_sum, operator("Add", "Sub")),
    "swish-as-sigmoid": Case(_unary("Swish", 24, alpha=1.5), scaled("alpha")),
}
