"""Width: structured channel pruning by torch-pruning, which keeps coupled layers in step.

Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023. Channels go by the L2 norm of their group's weights
and norms (Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017).
"""

from __future__ import annotations

from typing import Any

from shoestring.base.errors import MissingExtraError, ModelError, UsageError
from shoestring.compress.graph import Graph
from shoestring.training.blocks import output_layers
from shoestring.training.lib import torch
from shoestring.training.network import Network

CHANNELS_IN_STEPS_OF = 8  # what vector units of cheap chips take at once


def slim(network: Network, graph: Graph, ratio: float, example: Any) -> None:
    """Remove this part of the channels of every layer but those that make the output, in place.

    Args:
        network: made from `graph`, norms or not.
        graph: says which layers make the output.
        ratio: part of the channels that goes, at least 0 and below 1; channels stay in steps of 8.
        example: one input (1, channels, height, width).

    Raises:
        MissingExtraError: torch-pruning is not installed.
        ModelError: the network cannot be slimmed.
    """
    if not 0 <= ratio < 1:
        raise UsageError(f"the part of channels to remove must be at least 0 and below 1, got {ratio:g}")
    if ratio == 0:
        return
    try:
        import torch_pruning as tp
    except ImportError as error:
        raise MissingExtraError("torch-pruning", "train") from error
    network.eval()
    with torch.no_grad():
        before = network(example).shape
    outputs = set(output_layers(graph))
    layers = {step.name: network.layers[step.key] for step in network.steps if step.key is not None}
    # torch-pruning's own rounding leaves a layer whole that would round to nothing, so ratios are made for each layer.
    ratios = {layer: _exact_ratio(layer, ratio) for name, layer in layers.items() if name not in outputs}
    pruner = tp.pruner.BasePruner(
        network,
        example,
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=0.0,
        pruning_ratio_dict=ratios,
        max_pruning_ratio=1.0,
        ignored_layers=[layer for name, layer in layers.items() if name in outputs],
    )
    pruner.step()
    network.zero_grad(set_to_none=True)
    with torch.no_grad():
        after = network(example).shape
    if after != before:
        raise ModelError(f"slimming changed the output from {tuple(before)} to {tuple(after)}")


def channels_left(channels: int, ratio: float) -> int:
    """How many of a layer's channels stay: a multiple of 8, at least 8, at most all."""
    steps = max(1, round(channels * (1 - ratio) / CHANNELS_IN_STEPS_OF))
    return min(channels, CHANNELS_IN_STEPS_OF * steps)


def _exact_ratio(layer: Any, ratio: float) -> float:
    """The ratio at which torch-pruning, which rounds down what stays, leaves exactly `channels_left`."""
    channels = len(layer.weight)
    gone = channels - channels_left(channels, ratio)
    return (gone - 0.01) / channels if gone else 0.0
