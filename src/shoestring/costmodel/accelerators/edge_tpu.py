"""The Edge TPU: fast while the weights stay on it, as slow as its link once they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.costmodel.accelerators.points import network, points
from shoestring.costmodel.accelerators.sample import Sample, sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.domain.features import Features
    from shoestring.domain.measured import Row

ON_CHIP_BYTES = 6.25e6
"""Weights that stay on its 8 MB beside code and activations: where published latencies bend."""

HOSTS = {
    "coral_dev_board": "PCIe",
    "x86+coral_usb": "USB 3 of a PC",
    "host+coral_usb3": "USB 3 of a PC",
    "rpi4b+coral_usb": "USB 3 of a Raspberry Pi",
    "rpi3b+coral_usb": "USB 2",
    "rpi3b++coral_usb": "USB 2",
}
"""Table chip -> the link between the Edge TPU and its host's memory."""

ALIASES = {"googlenetv1": "inception v1", "mobilenetv1": "mobilenet v1", "resnet 50v15": "resnet 50 v1"}
"""Spellings of one network, which must be left out together."""

LEFT_OUT = ("ultralytics", "EdgeTPU-slow")
"""Rows not fitted: exports of one vendor leave much of the network on the processor; and the reduced clock."""


def edge_tpu_sample(rows: Sequence[Row], link: str, features: Features) -> Sample:
    """All hosts' rows together, in shared and in own terms.

    Terms: GMACs of networks that fit on the chip; GMACs of those that do not; a fixed part for each link; MB of weights
    over ON_CHIP_BYTES for each link, which cross it for every example.

    Args:
        rows: the whole table.
        link: a value of HOSTS.
        features: of the network asked about; its weights take a byte each.
    """
    known = [row for row in rows if row.device == "edgetpu" and row.chip in HOSTS and not _left_out(row)]
    found = points(known, streaming=False)
    links = tuple(dict.fromkeys(HOSTS.values()))
    return Sample(
        np.array([_terms(point.macs, point.params, links.index(HOSTS[point.chip]), len(links)) for point in found]),
        np.array([point.ms for point in found]),
        tuple(ALIASES.get(point.model, point.model) for point in found),
        np.array(_terms(features.macs, features.params, links.index(link), len(links))),
        sources(found),
    )


def same_network(model: str) -> str:
    """The network of a row's model name, by one spelling."""
    name = network(model)
    return ALIASES.get(name, name)


def _left_out(row: Row) -> bool:
    return any(mark in row.source or mark in row.runtime for mark in LEFT_OUT)


def _terms(macs: float, params: float, link: int, links: int) -> list[float]:
    stays = params <= ON_CHIP_BYTES
    terms = [macs / 1e9 if stays else 0.0, 0.0 if stays else macs / 1e9, *([0.0] * (2 * links))]
    terms[2 + link] = 1.0
    terms[2 + links + link] = max(0.0, params - ON_CHIP_BYTES) / 1e6
    return terms
