"""8 bits: a student as `fit` would quantize it, and the same rounding inside torch so that training can get used to it.

Quantization-aware training with straight-through gradients (Bengio et al., arXiv:1308.3432; Jacob et al., CVPR 2018).
Scales stay those of our quantizer instead of being learned (Esser et al., "Learned Step Size Quantization", ICLR 2020):
`fit` sets them anew from its own calibration images, so learned ones would be lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.compress.clip import clipped_ranges
from shoestring.compress.graph import Graph
from shoestring.compress.observe import value_ranges
from shoestring.compress.quantize import needed_ranges, to_qdq
from shoestring.compress.scheme import Scheme
from shoestring.training.lib import torch
from shoestring.training.network import Network

Array = npt.NDArray[Any]
QUANTIZE = "/quantize"
TINY = 1e-8


@dataclass(frozen=True)
class Grid:
    """What an activation is rounded to.

    Args:
        scale: of one step.
        zero_point: the integer that stands for zero.
        low, high: smallest and largest integer.
    """

    scale: float
    zero_point: int
    low: int
    high: int


def quantize(graph: Graph, batches: list[Array], scheme: Scheme, threads: int) -> Graph:
    """The 8-bit version of `graph`, every layer, with ranges from `batches`.

    Args:
        graph: float32.
        batches: inputs as the model takes them.
        scheme: integer types.
        threads: of the runtime.
    """
    feeds = [{graph.inputs[0]: batch} for batch in batches]
    seen = value_ranges(graph, lambda: iter(feeds), needed_ranges(graph), threads)
    ranges = clipped_ranges(graph, seen, feeds[:2], scheme.activation_limits, threads)
    return to_qdq(graph, ranges, scheme, frozenset())


def grids(quantized: Graph, scheme: Scheme) -> dict[str, Grid]:
    """The grid of every activation that an 8-bit graph rounds, by tensor."""
    found = {}
    for node in quantized.nodes:
        if node.op_type != "QuantizeLinear":
            continue
        scale, zero = quantized.weights[node.input[1]], quantized.weights[node.input[2]]
        found[node.name.removesuffix(QUANTIZE)] = Grid(float(scale), int(zero), *scheme.activation_limits)
    return found


def round_while_training(network: Network, held: Mapping[str, Grid], scheme: Scheme) -> None:
    """Let a network without norms round weights and activations as its 8-bit form does, in place."""
    network.rounding = {name: partial(_round_activation, grid) for name, grid in held.items()}
    network.weight_rounding = partial(_round_weight, scheme.weight_limit)


def exact(network: Network) -> None:
    """Undo `round_while_training`."""
    network.rounding, network.weight_rounding = {}, None


def _round_activation(grid: Grid, x: Any) -> Any:
    return torch.fake_quantize_per_tensor_affine(x, grid.scale, grid.zero_point, grid.low, grid.high)


def _round_weight(limit: int, weight: Any) -> Any:
    """One symmetric scale for each output channel, as `compress.qdq.channel_scales` has it."""
    with torch.no_grad():
        scales = (weight.abs().flatten(1).amax(1) / limit).clamp(min=TINY)
        zeros = torch.zeros_like(scales, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, -limit, limit)


def mean_kl_and_agreement(teacher: Array, student: Array) -> tuple[float, float]:
    """Mean KL divergence of log-probabilities (n, classes), in nats, and the part of equal first classes."""
    kl = float(np.mean(np.sum(np.exp(teacher) * (teacher - student), axis=1)))
    return kl, float(np.mean(teacher.argmax(1) == student.argmax(1)))
