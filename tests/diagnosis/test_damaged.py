"""A damaged model gives a diagnosis or one clear error, never anything else."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from diagnosis.patients import examined
from native.qdq_models import imported, quantized
from shoestring.base.errors import ShoestringError
from shoestring.diagnosis import DISEASES, diagnose

OPERATORS = ("Relu", "Clip", "Pad", "Where", "MatMul", "Gemm", "Conv", "QuantizeLinear", "Softmax")


def damage(model: bytes, seed: int) -> bytes:
    """One to three blows: a wrong input, weight, attribute or operator, or an input gone."""
    rng = np.random.default_rng(seed)
    proto = onnx.load_model_from_string(model)
    nodes, weights = proto.graph.node, proto.graph.initializer
    for _ in range(rng.integers(1, 4)):
        node, weight = nodes[int(rng.integers(len(nodes)))], weights[int(rng.integers(len(weights)))]
        blow = int(rng.integers(5))
        if blow == 0 and node.input:
            node.input[int(rng.integers(len(node.input)))] = weight.name
        elif blow == 1:
            shape = (int(rng.integers(1, 9)),) * int(rng.integers(4))
            weight.CopyFrom(numpy_helper.from_array(np.resize(numpy_helper.to_array(weight), shape), weight.name))
        elif blow == 2 and node.attribute:
            node.attribute[int(rng.integers(len(node.attribute)))].i = int(rng.integers(-5, 5))
        elif blow == 3:
            del node.input[-1:]
        else:
            node.op_type = str(rng.choice(OPERATORS))
    return bytes(proto.SerializeToString())


@pytest.mark.parametrize("form", ["float", "quantized"])
def test_damaged_models_are_diagnosed_or_refused(form):
    whole = imported() if form == "float" else quantized()
    diagnosed = refused = 0
    for seed in range(30):
        try:
            diagnosis = diagnose(examined(damage(whole, seed)))
        except ShoestringError as error:
            assert error.message
            refused += 1
            continue
        named = {case.id for case in diagnosis.cases} | {gap.id for gap in diagnosis.gaps} | set(diagnosis.healthy)
        assert named - {"all"} == {one.id for one in DISEASES}
        diagnosed += 1
    assert diagnosed >= 5 and refused >= 5
