"""What a latency is a sum of: counts of a network, each of which has a price on a chip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shoestring.domain.features import Features

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

NAMES = ("conv3x3", "conv1x1", "convk", "group", "depthwise", "fc", "other", "params", "activations", "layers")
COMPUTE = 7
"""The first terms are multiply-accumulates, which differ in speed only by how well their kernels do."""


def terms(features: Iterable[Features]) -> Array:
    """Counts of each network, scaled so that one unit of each costs a like time on most chips.

    A parameter counts as 4 units and an activation as 10: memory is about so much dearer than one multiply-accumulate
    on the table's chips; a layer as 200,000 (a fork and a join of threads). The factors only centre the priors.

    Args:
        features: of the networks, n of them.

    Returns:
        (n, len(NAMES)), millions of units, above 0 in at least one term.
    """
    return np.array([_one(counts) for counts in features], dtype=np.float64).reshape(-1, len(NAMES))


def _one(counts: Features) -> tuple[float, ...]:
    units = (
        counts.conv3x3_macs, counts.conv1x1_macs, counts.convk_macs, counts.group_macs, 4 * counts.dw_macs,
        counts.fc_macs, counts.other_macs, 4 * counts.params, 10 * counts.act_elems, 2e5 * counts.layers,
    )  # fmt: skip
    return tuple(unit / 1e6 for unit in units)
