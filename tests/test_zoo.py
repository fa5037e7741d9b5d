"""The zoo's nets run, say something, and hold the operators that their families are known by."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest

import zoo
from shoestring.runtimes import registry

KNOWN_BY = {
    "mobilenet_v1": {"Conv": 27, "Clip": 27},
    "mobilenet_v2": {"Conv": 53, "Add": 10},
    "mobilenet_v3_small": {"HardSwish": 19, "HardSigmoid": 9, "Mul": 9, "GlobalAveragePool": 10},
    "mobilenet_v3_large": {"HardSwish": 21, "HardSigmoid": 8, "Mul": 8, "Add": 10},
    "efficientnet_lite0": {"Conv": 49, "Clip": 33, "Add": 9},
    "efficientnet_b0": {"Sigmoid": 65, "Mul": 65},
    "resnet18": {"Conv": 21, "Add": 8, "MaxPool": 1},
    "resnet50": {"Conv": 53, "Add": 16},
    "squeezenet": {"Conv": 26, "Concat": 8, "MaxPool": 3},
    "yolov3_tiny": {"Conv": 13, "LeakyRelu": 11, "MaxPool": 6, "Resize": 1, "Concat": 1},
    "yolov3": {"Conv": 75, "LeakyRelu": 72, "Add": 23, "Resize": 2, "Concat": 2},
    "yolov3_silu": {"Conv": 75, "Sigmoid": 72, "Mul": 72},
    "ssd_softmax": {"Transpose": 4, "Reshape": 4, "Concat": 2, "Softmax": 1},
    "ssd_sigmoid": {"Transpose": 4, "Reshape": 4, "Concat": 2, "Sigmoid": 1},
    "transformer": {"LayerNormalization": 4, "Erf": 2, "MatMul": 16},
    "transformer_primitive": {"LayerNormalization": 0, "Erf": 2, "Pow": 4},
}


@pytest.mark.parametrize("name", zoo.NETS)
def test_a_net_answers_and_its_answers_tell_inputs_apart(name: str) -> None:
    feeds = zoo.example_input(name, 6)
    with registry.get("onnxruntime").load(zoo.NETS[name](), 1) as session:
        whole = session.run(feeds)
        alone = session.run({key: value[:1] for key, value in feeds.items()})
    for output, values in whole.items():
        assert len(values) == 6, "the batch is free"
        assert np.isfinite(values).all()
        assert 0.05 * np.abs(values).mean() < values.std() < 20, output
        apart = np.abs(values - values.mean(axis=0)).mean()
        assert apart > 0.06 * np.abs(values).mean(), f"{output} hardly depends on the input"
        np.testing.assert_allclose(alone[output], values[:1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", zoo.NETS)
def test_a_net_is_as_the_importer_leaves_one_and_of_its_family(name: str) -> None:
    model = onnx.ModelProto.FromString(zoo.NETS[name]())
    onnx.checker.check_model(model, full_check=True)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert not {"BatchNormalization", "Constant", "Identity"} & kinds.keys()
    assert {kind: kinds[kind] for kind in KNOWN_BY[name]} == KNOWN_BY[name]
    assert [item.version for item in model.opset_import] == [17]


def test_other_seeds_give_other_inputs_and_a_second_call_the_same_bytes() -> None:
    first, same, other = (zoo.example_input("resnet18", 2, seed)["x"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert zoo.NETS["resnet18"]() == zoo.NETS["resnet18"]()


def test_settling_is_what_keeps_deep_nets_alive() -> None:
    raw = zoo.families.yolov3(zoo.Seeded(64, 16)).SerializeToString()
    feeds = zoo.example_input("yolov3", 2)
    spreads = []
    for model in (raw, zoo.NETS["yolov3"]()):
        with registry.get("onnxruntime").load(model, 1) as session:
            spreads.append(max(float(value.std()) for value in session.run(feeds).values()))
    assert not 0.05 < spreads[0] < 20
    assert 0.05 < spreads[1] < 20
