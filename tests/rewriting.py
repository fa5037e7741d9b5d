"""One small graph for each rewrite, drawn at random, and a way to spoil what the rewrite made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from shoestring.compress.graph import Graph
from shoestring.legalise.apply import prune
from shoestring.legalise.rewrites import REWRITES
from shoestring.legalise.site import Site, look_at
from shoestring.legalise.table import row_named

Draw = Any


def graph(
    nodes: list[Any], weights: dict[str, Any], shape: tuple[int, ...], *, opset: int = 18, y: Any = None
) -> Graph:
    """A graph from `x` of a shape to `y`."""
    body = helper.make_graph(
        [helper.make_node(op, ins, outs, name=f"n{i}_{op}", **attrs) for i, (op, ins, outs, attrs) in enumerate(nodes)],
        "case",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [onnx.ValueInfoProto(name=name) for name in (y or ["y"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    made = helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=9 if opset < 24 else 12)
    made = onnx.shape_inference.infer_shapes(made)
    onnx.checker.check_model(made)
    return Graph(made)


def rewrite(name: str, source: Graph) -> tuple[Graph, int]:
    """The graph with a rewrite made at every node that it fits, and how many those were."""
    work, count = source.copy(), 0
    view, instead = look_at(work), {}
    for node in work.nodes:
        fits = node.op_type == row_named(name).takes
        change = REWRITES[name](Site(work, view, node)) if fits else None
        if change is not None:
            instead[node.output[0]] = change.nodes
            count += 1
    work.nodes = [new for node in work.nodes for new in instead.get(node.output[0], (node,))]
    prune(work)
    return work, count


@dataclass(frozen=True)
class Case:
    """How to try one rewrite.

    Args:
        build: draws a graph that it fits.
        spoil: changes the rewritten graph into a wrong one.
    """

    build: Callable[[Draw], Graph]
    spoil: Callable[[Graph], None]


def scaled(suffix: str, factor: float = 1.25) -> Callable[[Graph], None]:
    """Spoils a constant."""

    def spoil(made: Graph) -> None:
        (name,) = [one for one in made.weights if one.endswith(f"/{suffix}")]
        made.weights[name] = (made.weights[name] * np.float32(factor)).astype(made.weights[name].dtype)

    return spoil


def moved(suffix: str) -> Callable[[Graph], None]:
    """Spoils a constant that is zero, or whose order matters."""

    def spoil(made: Graph) -> None:
        (name,) = [one for one in made.weights if one.endswith(f"/{suffix}")]
        old = made.weights[name]
        made.weights[name] = np.roll(old, 1, axis=0) if old.ndim else old + np.float32(0.25)

    return spoil


def operator(before: str, after: str) -> Callable[[Graph], None]:
    """Spoils an operator."""

    def spoil(made: Graph) -> None:
        for node in made.nodes:
            if node.op_type == before:
                node.op_type = after

    return spoil


def setting(op: str, name: str, value: Any) -> Callable[[Graph], None]:
    """Spoils an attribute."""

    def spoil(made: Graph) -> None:
        for node in made.nodes:
            if node.op_type == op:
                kept = [item for item in node.attribute if item.name != name]
                del node.attribute[:]
                node.attribute.extend([*kept, helper.make_attribute(name, value)])

    return spoil


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
    "pad-into-conv": Case(_pad_conv, lambda made: _shift_pads(made, "Conv")),
    "pad-into-max": Case(_pad_max, operator("MaxPool", "AveragePool")),
    "pad-out-of-average": Case(_out_of_average, lambda made: _raise_padding(made)),
    "pad-out-of-max": Case(_out_of_max, lambda made: _raise_padding(made)),
    "pixel-shuffle-as-depth-to-space": Case(_pixel_shuffle, lambda made: _other_mode(made)),
    "pool-as-max": Case(_unary("GlobalMaxPool"), operator("ReduceMax", "ReduceMin")),
    "pool-as-mean": Case(_unary("GlobalAveragePool"), operator("ReduceMean", "ReduceSum")),
    "prelu-as-parts": Case(_prelu, operator("Min", "Max")),
    "reciprocal-as-div": Case(_reciprocal, scaled("one")),
    "shuffle-as-conv": Case(_shuffle, moved("order")),
    "shuffle-in-four": Case(_shuffle, lambda made: _turned(made)),
    "silu-as-hardswish": Case(_silu, scaled("sixth", 2)),
    "softmax-as-vector": Case(_softmax, setting("Softmax", "axis", 0)),
    "split-as-slices": Case(_split, lambda made: _swap(made)),
    "square-as-mul": Case(_square, operator("Mul", "Add")),
    "squeeze-as-reshape": Case(_squeeze, lambda made: made.weights.update({"y/shape": np.array([-1], np.int64)})),
    "steps-as-pool": Case(_steps, lambda made: _late(made)),
    "sum-as-adds": Case(_sum, operator("Add", "Sub")),
    "swish-as-sigmoid": Case(_unary("Swish", 24, alpha=1.5), scaled("alpha")),
}


def _shift_pads(made: Graph, op: str) -> None:
    (node,) = [one for one in made.nodes if one.op_type == op]
    (pads,) = [item for item in node.attribute if item.name == "pads"]
    values = list(pads.ints)
    setting(op, "pads", [values[0], values[1] + 1, values[2], values[3] - 1])(made)


def _raise_padding(made: Graph) -> None:
    made.weights["wrong"] = np.float32(9)
    for node in made.nodes:
        if node.op_type == "Pad":
            node.input.append("wrong")


def _other_mode(made: Graph) -> None:
    (node,) = [one for one in made.nodes if one.op_type == "DepthToSpace"]
    mode = next(item.s for item in node.attribute if item.name == "mode")
    setting("DepthToSpace", "mode", "DCR" if mode == b"CRD" else "CRD")(made)
    # With one channel both modes are the same: the block is read backwards instead.
    made.nodes.insert(0, helper.make_node("Neg", ["x"], ["turned"], name="spoil"))
    node.input[0] = "turned"
    made.reindex()


def _turned(made: Graph) -> None:
    made.nodes = [node for node in made.nodes if node.op_type != "Transpose"]
    for node in made.nodes:
        if node.input[0].endswith("/turned"):
            node.input[0] = node.input[0].replace("/turned", "/parted")
    made.reindex()


def _swap(made: Graph) -> None:
    (node,) = [one for one in made.nodes if one.op_type == "Concat"]
    node.input[:] = list(node.input)[::-1]


def _late(made: Graph) -> None:
    made.nodes.insert(0, helper.make_node("Transpose", ["x"], ["mirrored"], name="spoil", perm=[0, 1, 2, 3]))
    made.nodes.insert(1, helper.make_node("Neg", ["mirrored"], ["negative"], name="spoil2"))
    for node in made.nodes[2:]:
        node.input[:] = ["negative" if name == "x" else name for name in node.input]
    made.reindex()


def filled(made: Any, seed: int = 0) -> Graph:
    """A network of `networks` with seeded weights in the place of those that nobody opens."""
    rng = np.random.default_rng(seed)
    weights = []
    for item in made.graph.initializer:
        if item.data_location == TensorProto.EXTERNAL:
            fan = int(np.prod(item.dims[1:])) if len(item.dims) > 1 else 100
            item = numpy_helper.from_array(rng.normal(0, (2 / fan) ** 0.5, item.dims).astype(np.float32), item.name)
        weights.append(item)
    del made.graph.initializer[:]
    made.graph.initializer.extend(weights)
    return Graph(onnx.shape_inference.infer_shapes(made))
