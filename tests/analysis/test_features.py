"""Features against the published counts of ncnn's benchmark networks, and against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import helper

import networks
import onnx_graphs
from onnx_graphs import floats, tensor, weight
from shoestring.analysis import features_of
from shoestring.analysis.counting import features as features_here
from shoestring.base import canonical
from shoestring.base.errors import ModelError
from shoestring.chips.published import published_networks
from shoestring.domain.features import Features, Uncovered
from shoestring.importers import import_model

if TYPE_CHECKING:
    from pathlib import Path


def counted(made: Any, folder: Path) -> Features:
    """The child's own work, in this process."""
    path = onnx_graphs.save(made, folder / "model.onnx")
    return canonical.convert(features_here(str(path)), Features, ModelError)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet18", 224),
        ("squeezenet", 227),
        ("mobilenet", 224),
        ("mobilenet_v2", 224),
        ("vgg16", 224),
        ("efficientnet_b0", 224),
        ("shufflenet_v2", 224),
    ],
)
def test_counts_are_those_of_ncnn(name: str, size: int, tmp_path: Path) -> None:
    ours = counted(getattr(networks, name)(), tmp_path)
    theirs = published_networks()[name, f"{size}x{size}x3"]
    assert replace(ours, name=name, peak_activation_elems=None) == theirs


CONV = helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1])
IMAGE = floats("x", 1, 3, 8, 8)
ELEMS = 8 * 8 * 4


def one_conv(tail: list[Any], folder: Path, *weights: Any, outputs: tuple[str, ...] = ("y",)) -> Features:
    ends = [floats(name, *[None] * 4) for name in outputs]
    made = onnx_graphs.model([CONV, *tail], [weight("w", 4, 3, 3, 3), *weights], inputs=[IMAGE], outputs=ends)
    return counted(made, folder)


def test_an_activation_belongs_to_its_convolution_unless_something_else_reads_it(tmp_path: Path) -> None:
    relu = helper.make_node("Relu", ["c"], ["y"])
    alone = one_conv([relu], tmp_path)
    assert (alone.layers, alone.act_elems) == (1, 3 * 64 + ELEMS)
    assert one_conv([relu], tmp_path, outputs=("c", "y")).layers == 2
    both = one_conv([relu, helper.make_node("Abs", ["c"], ["z"])], tmp_path, outputs=("y", "z"))
    assert (both.layers, both.act_elems) == (3, 3 * 64 + ELEMS + 4 * ELEMS)


def test_arithmetic_on_one_tensor_is_one_layer(tmp_path: Path) -> None:
    """h-swish as old exporters spell it: x * clip(x + 3, 0, 6) / 6."""
    numbers = [tensor(name, np.float32(value)) for name, value in (("three", 3), ("zero", 0), ("six", 6))]
    spelled = [
        helper.make_node("Add", ["c", "three"], ["a"]),
        helper.make_node("Clip", ["a", "zero", "six"], ["b"]),
        helper.make_node("Mul", ["c", "b"], ["m"]),
        helper.make_node("Div", ["m", "six"], ["y"]),
    ]
    whole = one_conv([helper.make_node("HardSwish", ["c"], ["y"])], tmp_path)
    chain = one_conv(spelled, tmp_path, *numbers)
    assert (chain.layers, chain.act_elems) == (whole.layers, whole.act_elems) == (2, 3 * 64 + 3 * ELEMS)
    # A gate on another tensor is a layer of its own.
    other = [helper.make_node("Abs", ["x"], ["b0"]), helper.make_node("ReduceMean", ["b0"], ["b"], axes=[1])]
    gated = one_conv([*other, helper.make_node("Mul", ["c", "b"], ["y"])], tmp_path)
    assert gated.layers == 4


def test_a_quantized_model_has_the_counts_of_its_float_form(tmp_path: Path) -> None:
    def codes(source: str, target: str) -> list[Any]:
        return [
            helper.make_node("QuantizeLinear", [source, "s", "z"], [f"{target}q"]),
            helper.make_node("DequantizeLinear", [f"{target}q", "s", "z"], [target]),
        ]

    settings = [tensor("s", np.float32(0.1)), tensor("z", np.uint8(7))]
    stored = [tensor("wq", np.ones((4, 3, 3, 3), np.int8)), tensor("ws", np.float32(0.1)), tensor("wz", np.int8(0))]
    nodes = [
        *codes("x", "xf"),
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["wf"]),
        helper.make_node("Conv", ["xf", "wf"], ["c"], pads=[1, 1, 1, 1]),
        *codes("c", "cf"),
        helper.make_node("Relu", ["cf"], ["r"]),
        *codes("r", "y"),
    ]
    quantized = counted(onnx_graphs.model(nodes, [*settings, *stored], inputs=[IMAGE]), tmp_path)
    assert quantized == one_conv([helper.make_node("Relu", ["c"], ["y"])], tmp_path)


def test_dynamic_int8_counts_neither_scales_nor_casts(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["xq", "xs", "xz"]),
        helper.make_node("MatMulInteger", ["xq", "wq", "xz"], ["p"]),
        helper.make_node("Cast", ["p"], ["f"], to=1),
        helper.make_node("Mul", ["xs", "ws"], ["scale"]),
        helper.make_node("Mul", ["f", "scale"], ["y"]),
    ]
    stored = [tensor("wq", np.ones((16, 4), np.int8)), tensor("ws", np.float32(0.1))]
    made = onnx_graphs.model(nodes, stored, inputs=[floats("x", 2, 16)], outputs=[floats("y", 2, 4)])
    found = counted(made, tmp_path)
    assert (found.fc_macs, found.layers, found.act_elems) == (2 * 16 * 4, 1, 2 * 16 + 2 * 4)
    assert found.input == "2x16"


def test_macs_are_parted_by_kind(tmp_path: Path) -> None:
    def one(node: Any, *weights: tuple[str, tuple[int, ...]], shape: tuple[int, ...] = (1, 8, 6, 6)) -> Features:
        made = [weight(name, *dims) for name, dims in weights]
        ends = [floats("y", *[None] * len(shape))]
        return counted(onnx_graphs.model([node], made, inputs=[floats("x", *shape)], outputs=ends), tmp_path)

    def conv(**settings: Any) -> Any:
        return helper.make_node("Conv", ["x", "w"], ["y"], **settings)

    assert one(conv(), ("w", (4, 8, 3, 3))).conv3x3_macs == 4 * 16 * 72
    assert one(conv(strides=[2, 2]), ("w", (4, 8, 3, 3))).convk_macs == 4 * 4 * 72
    assert one(conv(dilations=[2, 2]), ("w", (4, 8, 3, 3))).convk_macs == 4 * 4 * 72
    assert one(conv(strides=[2, 2]), ("w", (4, 8, 1, 1))).conv1x1_macs == 4 * 9 * 8
    assert one(conv(), ("w", (4, 8, 1, 1)), shape=(1, 8, 1, 1)).fc_macs == 32
    assert one(conv(group=8), ("w", (8, 1, 3, 3))).dw_macs == 8 * 16 * 9
    assert one(conv(group=2), ("w", (4, 4, 3, 3))).group_macs == 4 * 16 * 36
    up = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    assert one(up, ("w", (8, 4, 2, 2))).convk_macs == 8 * 36 * 16
    product = helper.make_node("MatMul", ["x", "x"], ["y"])
    square = one(product, shape=(1, 8, 6, 6))
    assert (square.other_macs, square.fc_macs, square.conv_fc_layers) == (8 * 216, 0, 0)
    biased = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])]
    made = onnx_graphs.model(
        biased, [weight("w", 16, 4), weight("b", 4)], inputs=[floats("x", 1, 16)], outputs=[floats("y", 1, 4)]
    )
    found = counted(made, tmp_path)
    assert (found.fc_macs, found.layers, found.params) == (64, 1, 68)


def test_operators_without_a_term_are_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Magic", ["x"], ["m"], domain="org.example"),
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("GridSample", ["r", "g"], ["y"]),
    ]
    made = onnx_graphs.model(
        nodes,
        [],
        inputs=[IMAGE, floats("g", 1, 5, 5, 2)],
        outputs=[floats("m", 1, 3, 8, 8), floats("y", 1, 3, 5, 5)],
        domains=("org.example",),
    )
    found = counted(made, tmp_path)
    assert found.uncovered == (Uncovered("GridSample", 1, 75), Uncovered("org.example.Magic", 1, 0))
    assert found.layers == 3


def test_peak_of_a_residual_block_by_hand(tmp_path: Path) -> None:
    """x (192) lives with the first result, then with the second; the sum is made in place of one of them."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "v"], ["b"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    made = onnx_graphs.model(nodes, [weight("w", 4, 3, 3, 3), weight("v", 4, 4, 3, 3)], inputs=[IMAGE])
    assert counted(made, tmp_path).peak_activation_elems == 2 * ELEMS
    # With x still needed at the end, it lives on beside both.
    kept = [*nodes, helper.make_node("Conv", ["x", "u"], ["z"], pads=[1, 1, 1, 1])]
    weights = [weight("w", 4, 3, 3, 3), weight("v", 4, 4, 3, 3), weight("u", 4, 3, 3, 3)]
    outputs = [floats(name, *[None] * 4) for name in ("y", "z")]
    made = onnx_graphs.model(kept, weights, inputs=[IMAGE], outputs=outputs)
    assert counted(made, tmp_path).peak_activation_elems == 192 + 2 * ELEMS


def test_bodies_are_counted_and_named(tmp_path: Path) -> None:
    def branch(operator: str) -> Any:
        return helper.make_graph([helper.make_node(operator, ["x"], ["o"])], operator, [], [floats("o", 1, 3, 8, 8)])

    made = onnx_graphs.model(
        [helper.make_node("If", ["c"], ["y"], then_branch=branch("Relu"), else_branch=branch("Abs"))],
        [],
        inputs=[helper.make_tensor_value_info("c", 9, []), IMAGE],
        outputs=[floats("y", 1, 3, 8, 8)],
    )
    found = counted(made, tmp_path)
    assert found.uncovered == (Uncovered("If", 1, 192),)
    assert found.layers == 3


def test_the_way_through_import_and_child(tmp_path: Path) -> None:
    made = onnx_graphs.model([CONV, helper.make_node("Relu", ["c"], ["y"])], [weight("w", 4, 3, 3, 3)])
    model = import_model(onnx_graphs.save(made, tmp_path / "pretty.onnx"), tmp_path / "n.onnx")
    found = features_of(model)
    assert (found.name, found.input, found.layers) == ("pretty", "8x8x3", 1)
    assert found.macs == found.conv3x3_macs == ELEMS * 27


def test_open_dimensions_are_asked_for(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    made = onnx_graphs.model(
        [node], [weight("w", 16, 4)], inputs=[floats("x", "n", "length", 16)], outputs=[floats("y", "n", "length", 4)]
    )
    path = onnx_graphs.save(made, tmp_path / "open.onnx")
    with pytest.raises(ModelError, match="dimension 1 open") as caught:
        features_of(import_model(path, tmp_path / "n.onnx"))
    assert "--shape x=1x128x16" in (caught.value.hint or "")
    fixed = import_model(path, tmp_path / "n.onnx", shapes={"x": (None, 10, 16)})
    assert features_of(fixed).fc_macs == 10 * 16 * 4


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    made = onnx_graphs.model([CONV, helper.make_node("Relu", ["c"], ["y"])], [weight("w", 4, 3, 3, 3)])
    model = import_model(onnx_graphs.save(made, tmp_path / "m.onnx"), tmp_path / "n.onnx")
    model.path.write_bytes(b"\x08\x08" + b"\xff" * 64)
    with pytest.raises(ModelError):
        features_of(model)
