"""What a board was seen to do: temperatures and watts over time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import DataError
from shoestring.domain.heat.poles import Poles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shoestring.domain.measured import HeatSeries

    Numbers = NDArray[np.float64]

FEWEST = 4
"""Samples below which a trace says nothing that a prior does not."""


@dataclass(frozen=True)
class Trace:
    """Samples of one board under a changing load.

    Args:
        seconds: of each sample, rising.
        celsius: of the chip at that moment.
        watts: of the board, mean over the time since the sample before; of the first sample: before it.
        idle_watts: of the board.
        watts_measured: a meter gave the watts; False: they were reckoned from how busy the processor was.
    """

    seconds: tuple[float, ...]
    celsius: tuple[float, ...]
    watts: tuple[float, ...]
    idle_watts: float
    watts_measured: bool

    def __post_init__(self) -> None:
        lengths = {len(self.seconds), len(self.celsius), len(self.watts)}
        if len(lengths) > 1:
            raise DataError(
                f"a trace has {len(self.seconds)} times, {len(self.celsius)} temperatures, {len(self.watts)} watts"
            )
        if len(self.seconds) < FEWEST:
            raise DataError(
                f"a trace of {len(self.seconds)} samples is shorter than {FEWEST}", hint="measure for some minutes"
            )
        if any(later <= earlier for earlier, later in pairwise(self.seconds)):
            raise DataError("a trace's times do not rise", hint="sort the samples, one for each moment")
        if not all(np.isfinite([*self.seconds, *self.celsius, *self.watts, self.idle_watts])):
            raise DataError("a trace holds a value that is no number", hint="leave out samples without a reading")
        if min(self.watts) < 0 or self.idle_watts <= 0:
            raise DataError(
                f"watts of a trace reach down to {min(self.watts):g}, idle is {self.idle_watts:g}",
                hint="a board that runs draws more than nothing",
            )

    def first(self, count: int) -> Trace:
        """The first `count` samples."""
        return Trace(
            self.seconds[:count], self.celsius[:count], self.watts[:count], self.idle_watts, self.watts_measured
        )


def trace_of(series: HeatSeries) -> Trace:
    """The trace of a run: metered watts where every sample but the first has them, else those of a busy processor.

    Of two samples in the same second the first is kept.
    """
    kept = [series.samples[0]]
    for sample in series.samples[1:]:
        if sample.seconds > kept[-1].seconds:
            kept.append(sample)
    reckoned = utilised([sample.busy for sample in kept], series.idle_watts, series.full_watts)
    metered = all(sample.watts is not None for sample in kept[1:])
    watts = tuple(
        sample.watts if metered and sample.watts is not None else other
        for sample, other in zip(kept, reckoned, strict=True)
    )
    # A board whose meter shows less than its review idles lower than the review says.
    idle = min(series.idle_watts, *watts) if metered else series.idle_watts
    return Trace(
        tuple(sample.seconds for sample in kept), tuple(sample.celsius for sample in kept), watts, idle, metered
    )


def utilised(busy: Sequence[float], idle_watts: float, full_watts: float) -> tuple[float, ...]:
    """Watts of a board whose processor is busy for these shares of the time: they rise evenly from idle to full."""
    return tuple(idle_watts + (full_watts - idle_watts) * share for share in busy)


def respond(poles: Poles, seconds: Sequence[float], kelvin: Sequence[float], start: tuple[float, float]) -> Numbers:
    """The rise over the air at each time, exactly for a load that is constant between samples.

    Args:
        poles: of chip and air.
        seconds: rising.
        kelvin: watts x resistance since the time before.
        start: rise of both parts at the first time, K.
    """
    state, rises = start, [sum(start)]
    for number in range(1, len(seconds)):
        state = poles.step(state, kelvin[number], seconds[number] - seconds[number - 1])
        rises.append(sum(state))
    return np.array(rises)
