"""How unlike the known networks a network is: the model errs more on strange ones, and its interval says so."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from shoestring.chips.published import published_networks
from shoestring.costmodel.latency.observations import network_of
from shoestring.costmodel.latency.terms import terms

if TYPE_CHECKING:
    from shoestring.costmodel.latency.terms import Array
    from shoestring.domain.features import Features

_NEAREST = 2


def novelty(features: Features, without: str = "") -> float:
    """Mean distance to the two nearest networks of the table.

    Args:
        features: of the network.
        without: base name of a network that is not to be compared with.

    Returns:
        0 for a twin; about 1 between unlike networks of the table.
    """
    names, places, centre, scale = _known()
    here = (_place(features) - centre) / scale
    away = np.sqrt(((places - here) ** 2).mean(axis=1))
    return float(np.sort(away[[name != without for name in names]])[:_NEAREST].mean())


def _place(features: Features) -> Array:
    counts = terms([features])[0]
    sizes = [features.macs, features.act_elems, max(features.params, 1), features.layers]
    return np.array([*np.log(sizes), *(2 * counts / counts.sum())])


@functools.cache
def _known() -> tuple[list[str], Array, Array, Array]:
    found = {network_of(model): features for (model, _), features in published_networks().items()}
    places = np.array([_place(features) for features in found.values()])
    centre, scale = places.mean(axis=0), places.std(axis=0) + 0.05
    return list(found), (places - centre) / scale, centre, scale
