"""What the tests of training share: small nets as graphs, and torch where it is installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest

import nets
from shoestring.compress.graph import Graph
from shoestring.compress.passes.lower_mean import LowerMean

NEEDS = "the extra train is not installed"


def torch_or_skip() -> Any:
    """torch; a named skip without it."""
    return pytest.importorskip("torch", reason=f"{NEEDS}: torch")


def pruning_or_skip() -> None:
    pytest.importorskip("torch_pruning", reason=f"{NEEDS}: torch-pruning")


@dataclass(frozen=True)
class KnownMeter:
    """A stand-in for `RealMeter`: a millisecond for every thousand weights."""

    batches: Any
    scheme: Any
    machine: Any
    threads: int
    remark: Any
    seconds_each: float = 0.0

    def __call__(self, graph: Any) -> float:
        used = graph.copy().weights.values()
        return sum(value.size for value in used if value.dtype == np.float32) / 1000


def wide_net(seed: int = 0, blocks: int = 3, classes: int = 5) -> Graph:
    """A mobile network with 32 channels and residual blocks, so that slimming has something to take."""
    net = nets.Net(seed)
    x = net.relu6(net.conv("image", "stem", 3, 32), "stem_act")
    for place in range(blocks):
        name = f"block{place}"
        y = net.relu6(net.conv(x, f"{name}_expand", 32, 48, kernel=1), f"{name}_expand_act")
        y = net.relu6(net.conv(y, f"{name}_depth", 48, 48, groups=48), f"{name}_depth_act")
        y = net.conv(y, f"{name}_project", 48, 32, kernel=1)
        x = net.node("Add", [x, y], f"{name}_sum")
    axes = net.constant("axes", np.array([2, 3], np.int64))
    x = net.node("ReduceMean", [x, axes], "mean", keepdims=0)
    net.gemm(x, "logits", 32, classes)
    return LowerMean().run(Graph(net.model(["N", 3, nets.SIDE, nets.SIDE], ["N", classes])), {})[0]


def answers(graph: Graph, x: np.ndarray) -> np.ndarray:
    """On ONNX Runtime."""
    onnx.checker.check_model(graph.to_bytes())
    return nets.run(graph.to_bytes(), x)
