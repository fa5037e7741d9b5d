"""A line through one chip's own networks: what pooled prices miss of a chip that has enough rows to say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.costmodel.latency.observations import Observation
    from shoestring.costmodel.latency.terms import Array
    from shoestring.domain.features import Features

SHARE = {"fp": 0.6, "int8": 0.3}
"""Of the logarithm that the line decides; the pooled prices have the rest. Chosen on the published table, by networks
left out: floats have some 25 networks a chip, 8-bit rows some 8."""

LEAST = 7
"""Networks from which on a line of seven terms is drawn."""


def blended(pooled: float, features: Features, near: Sequence[Observation]) -> float:
    """The pooled prediction drawn towards the chip's own line; as it is where the chip has too few networks.

    Args:
        pooled: logarithm of ms.
        features: of the network asked about.
        near: rows of the chip in the same setting, of other networks.
    """
    line = own_line(near)
    if line is None:
        return pooled
    share = SHARE.get(near[0].setting.kind, 0.0)
    return (1 - share) * pooled + share * float(np.log(max(float(seven(features) @ line), 1e-6)))


def own_line(near: Sequence[Observation]) -> Array | None:
    """Non-negative prices of seven terms with the least relative error; None with fewer networks than LEAST."""
    if len({row.network for row in near}) < LEAST:
        return None
    from scipy.optimize import nnls

    ms = np.exp([row.log_ms for row in near])
    terms = np.array([seven(row.features) for row in near]) / ms[:, None]
    scale = np.linalg.norm(terms, axis=0)
    scale[scale == 0] = 1.0
    prices, _ = nnls(terms / scale, np.ones(len(ms)))
    return np.asarray(prices / scale)


def seven(features: Features) -> Array:
    """3x3, 1x1 with products of activations, other and grouped, depthwise, parameters, what moves, layers."""
    return np.array(
        [
            features.conv3x3_macs,
            features.conv1x1_macs + features.other_macs,
            features.convk_macs + features.group_macs,
            features.dw_macs,
            features.params,
            features.act_elems,
            features.layers,
        ],
        dtype=np.float64,
    )
