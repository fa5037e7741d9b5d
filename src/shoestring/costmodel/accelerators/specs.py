"""An engine that nobody measured: its peak, and how much of a peak other engines reach."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shoestring.chips.loading import catalogue
from shoestring.costmodel.accelerators.points import points
from shoestring.costmodel.accelerators.regression import quantile
from shoestring.costmodel.accelerators.sample import streams
from shoestring.domain.estimate import Estimate, NoClaim

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from shoestring.domain.chip import Chip, Peak
    from shoestring.domain.features import Features
    from shoestring.domain.measured import Row

ENGINE_OF = {"gpu-vulkan": "gpu", "gpu-cuda": "gpu", "fpga-dpu": "dpu"}
"""Row.device -> Peak.engine, where the two differ."""

PROTOCOL = "batch 1, the network alone; from the peak of the data sheet"


def from_peak(features: Features, chip: Chip, peak: Peak, rows: Sequence[Row]) -> Estimate | NoClaim:
    """2 x MACs / (peak x share), where the share is what the catalogue's measured engines reach at batch 1.

    The interval is that of the shares over all (engine, network) pairs, so it is wide.

    Args:
        features: of the model.
        chip: where.
        peak: of the engine and precision.
        rows: to learn the shares from.
    """
    if features.macs == 0:
        return NoClaim("the network has no MACs that a peak could speak for")
    shares = np.log(reached(rows))
    if len(shares) < 30:
        return NoClaim(f"only {len(shares)} measurements say how much of a peak an engine reaches; 30 are needed")
    middle = float(np.median(shares))
    spread = quantile(np.abs(shares - middle), 0.9)
    ms = 2 * features.macs / (peak.rate.value * 1e9 * math.exp(middle)) * 1000
    return Estimate(
        ms,
        ms * math.exp(-spread),
        ms * math.exp(spread),
        "ms",
        "specifications",
        (
            f"{peak.rate.value:g} Gop/s in {peak.precision} ({peak.rate.status}, {peak.rate.source})",
            f"engines reach {100 * math.exp(middle):.2g} % of their peak at batch 1, by {len(shares)} measurements",
        ),
        PROTOCOL,
        widened=("nothing was measured on this engine",),
    )


def reached(rows: Iterable[Row]) -> NDArray[np.float64]:
    """Share of the peak that each measured (engine, network) of the catalogue reaches."""
    of: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        of.setdefault((row.chip, row.device), []).append(row)
    found = []
    for chip in catalogue().values():
        for peak in chip.peaks:
            for (name, device), measured in of.items():
                if name in chip.rows and ENGINE_OF.get(device, device) == peak.engine and peak.engine != "cpu":
                    same = [row for row in measured if row.precision.startswith(peak.precision)]
                    found += [
                        2 * point.macs / (point.ms / 1000) / (peak.rate.value * 1e9)
                        for point in points(same, streams(same))
                        if point.macs > 0
                    ]
    return np.array(found)
