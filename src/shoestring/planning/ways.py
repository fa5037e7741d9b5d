"""Every way to run a model on a chip that rows, runtimes or peaks know of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.costmodel.accelerators import accelerator_combinations
from shoestring.domain.forecast import Combination

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.domain.chip import Chip
    from shoestring.domain.measured import Row

PUBLISHED = "ncnn"
"""The runtime whose published rows cover most processors."""

HALF = ("fphp",)
"""Instruction sets with arithmetic in half precision: runtimes' floats are fp16 there, else fp32."""


def ways(chip: Chip, rows: Sequence[Row]) -> tuple[Combination, ...]:
    """Every (runtime, device, precision, threads), the processor's first.

    Runtimes that the chip file lists for the processor are there too, so that what nobody measured is named.

    Args:
        chip: where.
        rows: the table and the user's own.
    """
    return (*_processor(chip, rows), *accelerator_combinations(chip))


def _processor(chip: Chip, rows: Sequence[Row]) -> tuple[Combination, ...]:
    if not chip.clusters or chip.kind not in ("board", "server"):
        return ()
    most = max(chip.clusters, key=lambda cluster: cluster.clock.value).count
    counts = sorted({1, most, *(2**i for i in range(5) if 2**i < most)})
    listed = [one.runtime for one in chip.runtimes if one.engine == "cpu" and one.how != "none"]
    measured = [row.runtime for row in rows if row.chip in chip.rows and row.device == "cpu" and row.latency_ms]
    floats = "fp16" if any(flag in chip.isa for flag in HALF) else "fp32"
    found = [
        Combination(runtime, "cpu", precision, threads)
        for runtime in dict.fromkeys([PUBLISHED, *listed, *measured])
        for precision in (floats if runtime == PUBLISHED else "fp32", "int8")
        for threads in counts
    ]
    return tuple(found)
