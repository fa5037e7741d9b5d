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
    ignored = [network.layers[step.key] for step in network.steps if step.key is not None and step.name in outputs]
    pruner = tp.pruner.BasePruner(
        network,
        example,
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=ratio,
        ignored_layers=ignored,
        round_to=CHANNELS_IN_STEPS_OF,
    )
    pruner.step()
    network.zero_grad(set_to_none=True)
    with torch.no_grad():
        after = network(example).shape
    if after != before:
        raise ModelError(f"slimming changed the output from {tuple(before)} to {tuple(after)}")
