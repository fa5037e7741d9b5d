"""Small ONNX models that tests build by hand: known numbers, seeded weights, any opset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path

NEWEST = onnx.defs.onnx_opset_version()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def weight(name: str, *shape: int, seed: int = 0, dtype: str = "float32") -> Any:
    values = rng(seed + sum(map(ord, name))).standard_normal(shape) * 0.5
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def ints(name: str, *values: int) -> Any:
    return numpy_helper.from_array(np.asarray(values, np.int64), name)


def tensor(name: str, array: Any) -> Any:
    return numpy_helper.from_array(np.asarray(array), name)


def floats(name: str, *shape: int | str | None) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def model(
    nodes: list[Any],
    weights: list[Any],
    *,
    inputs: list[Any] | None = None,
    outputs: list[Any] | None = None,
    opset: int = 17,
    functions: list[Any] | None = None,
    domains: tuple[str, ...] = (),
) -> Any:
    graph = helper.make_graph(
        nodes, "test", inputs or [floats("x", "n", 3, 8, 8)], outputs or [floats("y", "n", None, None, None)], weights
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    made = helper.make_model(graph, opset_imports=imports, functions=functions or [], producer_name="secret-exporter")
    made.ir_version = max(8, helper.find_min_ir_version_for(imports[:1])) if opset >= 17 else 6
    return made


def save(made: Any, path: Path) -> Path:
    path.write_bytes(made.SerializeToString())
    return path


def batch_norm(name: str, channels: int) -> tuple[list[Any], list[str]]:
    """Weights of a BatchNormalization, with a variance above zero, and their names."""
    names = [f"{name}_{part}" for part in ("scale", "bias", "mean")]
    variance = tensor(f"{name}_var", rng(len(name)).uniform(0.5, 2.0, channels).astype(np.float32))
    return [*(weight(item, channels) for item in names), variance], [*names, f"{name}_var"]


def conv_bn_relu(opset: int = 17) -> Any:
    """Conv 3 -> 4, batch norm, ReLU, Dropout: all that an old export leaves for later."""
    norm, names = batch_norm("bn", 4)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], doc_string="/home/somebody/train.py"),
        helper.make_node("BatchNormalization", ["c", *names], ["b"], epsilon=1e-3),
        helper.make_node("Relu", ["b"], ["r"]),
        helper.make_node("Dropout", ["r"], ["d"]),
        helper.make_node("Identity", ["d"], ["y"]),
    ]
    return model(nodes, [weight("w", 4, 3, 3, 3), *norm], opset=opset)


def residual(opset: int = 17) -> Any:
    """x + BN(Conv(x)) twice, the second without a batch norm of its own; the first sum is read twice."""
    norm, names = batch_norm("bn", 3)
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c1", *names], ["n1"]),
        helper.make_node("Add", ["x", "n1"], ["s1"]),
        helper.make_node("Conv", ["s1", "w2"], ["c2"], pads=[1, 1, 1, 1], group=3),
        helper.make_node("Identity", ["s1"], ["s1_same"]),
        helper.make_node("Add", ["s1_same", "c2"], ["y"]),
    ]
    return model(nodes, [weight("w1", 3, 3, 3, 3), weight("b1", 3), weight("w2", 3, 1, 3, 3), *norm], opset=opset)


def gemm_head(opset: int = 17) -> Any:
    """Pool, a Reshape whose shape is computed from the input's, Gemm with alpha, beta, transB; batch norm; softmax."""
    norm, names = batch_norm("bn", 5)
    axes = {"axes": [2, 3]} if opset < 18 else {}
    pool = ["x"] if opset < 18 else ["x", "axes"]
    nodes = [
        helper.make_node("ReduceMean", pool, ["p"], **axes),
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Constant", [], ["zero"], value=tensor("", np.int64(0))),
        helper.make_node("Gather", ["shape", "zero"], ["batch"], axis=0),
        helper.make_node("Reshape", ["batch", "one"], ["batch1"]),
        helper.make_node("Concat", ["batch1", "minus"], ["target"], axis=0),
        helper.make_node("Reshape", ["p", "target"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "c"], ["g"], transB=1, alpha=0.5, beta=2.0),
        helper.make_node("BatchNormalization", ["g", *names], ["b"]),
        helper.make_node("Softmax", ["b"], ["y"], axis=1),
    ]
    weights = [weight("w", 5, 3), weight("c", 5), ints("one", 1), ints("minus", -1), *norm]
    weights += [ints("axes", 2, 3)] if opset >= 18 else []
    return model(nodes, weights, outputs=[floats("y", "n", 5)], opset=opset)


def branches(opset: int = 17) -> Any:
    """An If on the mean of the input; both bodies read a tensor from around them, one squeezes and unsqueezes."""
    axes_inside = opset < 13
    squeeze = {"axes": [0]} if axes_inside else {}
    extra = [] if axes_inside else ["axis"]
    then = helper.make_graph(
        [
            helper.make_node("Unsqueeze", ["r", *extra], ["u"], **squeeze),
            helper.make_node("Squeeze", ["u", *extra], ["s"], **squeeze),
            helper.make_node("Conv", ["s", "w"], ["t"], pads=[1, 1, 1, 1]),
        ],
        "then",
        [],
        [floats("t", None, None, None, None)],
    )
    other = helper.make_graph(
        [
            helper.make_node("Constant", [], ["two"], value=tensor("", np.float32(2))),
            helper.make_node("Mul", ["r", "two"], ["e"]),
        ],
        "else",
        [],
        [floats("e", None, None, None, None)],
    )
    nodes = [
        helper.make_node("Identity", ["x"], ["same"]),
        helper.make_node("Relu", ["same"], ["r"]),
        helper.make_node("Size", ["w"], ["unused"]),
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Greater", ["m", "threshold"], ["cond"]),
        helper.make_node("If", ["cond"], ["y"], then_branch=then, else_branch=other),
    ]
    weights = [weight("w", 3, 3, 3, 3), tensor("threshold", np.float32(2.5))]
    weights += [] if axes_inside else [ints("axis", 0)]
    return model(nodes, weights, opset=opset)


def constant_arithmetic(opset: int = 17) -> Any:
    """A scale computed from constants of every form, through ops that shape inference can size."""
    nodes = [
        helper.make_node("Constant", [], ["a"], value=tensor("", np.float32([1, 2, 3]))),
        helper.make_node("Constant", [], ["shape"], value=tensor("", np.int64([1, 3, 1, 1]))),
        helper.make_node("Constant", [], ["half"], value=tensor("", np.float32(0.5))),
        helper.make_node("Mul", ["a", "half"], ["b"]),
        helper.make_node("Reshape", ["b", "shape"], ["c"]),
        helper.make_node("Exp", ["c"], ["d"]),
        helper.make_node("Mul", ["x", "d"], ["e"]),
        helper.make_node("Clip", ["e", "", "half"], ["y"]),
        helper.make_node("Exp", ["y"], ["dead"]),
    ]
    return model(nodes, [weight("unused", 7)], opset=opset)


GRAPHS = {
    "conv_bn_relu": conv_bn_relu,
    "residual": residual,
    "gemm_head": gemm_head,
    "branches": branches,
    "constant_arithmetic": constant_arithmetic,
}
