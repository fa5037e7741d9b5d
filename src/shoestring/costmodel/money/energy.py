"""Energy of one example, from the whole board's watts and the time it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.domain.estimate import Estimate, NoClaim

if TYPE_CHECKING:
    from shoestring.domain.chip import Chip

POWER_DOUBT = 0.15
"""Watts of one board differ by this share between reviews."""

PROTOCOL = "the whole board at its plug, busy all the time; idle watts included"


def energy_per_example(chip: Chip, rate: Estimate | NoClaim, threads: int | None) -> Estimate | NoClaim:
    """mJ an example: load watts / rate.

    Where only some of the processor's cores work, the watts above idle go with their share: the figure that reviews
    give is for all cores, and it is parted evenly.

    Args:
        chip: with its watts.
        rate: 1/s.
        threads: of the processor, or None where another engine is busy.
    """
    if isinstance(rate, NoClaim):
        return rate
    if chip.power is None:
        return NoClaim(f"nobody has published what {chip.name} draws: measure it with a meter at the plug")
    idle, load = chip.power.idle.value, chip.power.load.value
    share = 1.0 if threads is None or not chip.cores else min(1.0, threads / chip.cores)
    watts = idle + (load - idle) * share
    figure = chip.power.load
    return Estimate(
        value=1000 * watts / rate.value,
        low=1000 * watts * (1 - POWER_DOUBT) / rate.high,
        high=1000 * watts * (1 + POWER_DOUBT) / rate.low,
        unit="mJ",
        ground="formula",
        rests_on=(
            f"{watts:.3g} W ({figure.status}, {figure.source}), within {100 * POWER_DOUBT:g} %",
            f"the rate: {rate.ground}",
        ),
        protocol=PROTOCOL,
        widened=rate.widened,
    )
