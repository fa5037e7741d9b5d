"""Price of a million examples: the board over its life and its electricity, or the rent of a machine elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.domain.estimate import Estimate, NoClaim

if TYPE_CHECKING:
    from shoestring.domain.chip import Chip

HOURS_A_YEAR = 8766.0
JOULES_A_KWH = 3.6e6
KWH_USD = 0.17
"""U.S. Energy Information Administration, Electric Power Monthly: residential average of 2025, 16 to 18 cents."""


@dataclass(frozen=True)
class Assumptions:
    """What a price rests on beside the board; each can be set.

    Args:
        life_years: that a board serves, above zero.
        kwh_usd: of electricity, zero or more.
        busy: share of its life that it works at its full rate, (0, 1].
    """

    life_years: float = 5.0
    kwh_usd: float = KWH_USD
    busy: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.life_years <= 50:
            raise UsageError(f"a life of {self.life_years:g} years is outside (0, 50]", hint="5 years are usual")
        if not 0 <= self.kwh_usd <= 10:
            raise UsageError(f"{self.kwh_usd:g} USD a kWh is outside [0, 10]", hint="0.1 to 0.4 are usual")
        if not 0 < self.busy <= 1:
            raise UsageError(f"busy for {self.busy:g} of the time is outside (0, 1]", hint="1 is all the time")

    def __str__(self) -> str:
        return (
            f"a board serves {self.life_years:g} years and is busy {100 * self.busy:g} % of them; "
            f"{self.kwh_usd:g} USD a kWh"
        )


def price_per_million(
    chip: Chip, rate: Estimate | NoClaim, energy: Estimate | NoClaim, assumed: Assumptions
) -> Estimate | NoClaim:
    """USD for a million examples at this rate.

    A board: price / (life x busy x rate) + its electricity. Idle hours of a board that is not always busy cost their
    electricity too. A rented machine: rent / rate.

    Args:
        chip: with a price or a rent.
        rate: 1/s.
        energy: mJ an example, busy.
        assumed: life, electricity, use.
    """
    if isinstance(rate, NoClaim):
        return rate
    if chip.hourly is not None:
        return _rented(chip, chip.hourly.value, rate)
    if chip.price is None:
        return NoClaim(f"{chip.name} has no price: give one in a chip file")
    if isinstance(energy, NoClaim):
        return energy
    board = chip.price.value / (assumed.life_years * HOURS_A_YEAR * 3600 * assumed.busy)
    idle = chip.power.idle.value * (1 / assumed.busy - 1) if chip.power is not None else 0.0
    joules = assumed.kwh_usd / JOULES_A_KWH

    def usd(at: float, millijoules: float) -> float:
        return 1e6 * ((board + idle * joules) / at + millijoules / 1000 * joules)

    return Estimate(
        usd(rate.value, energy.value),
        usd(rate.high, energy.low),
        usd(rate.low, energy.high),
        "USD",
        "formula",
        (_source(chip), str(assumed), f"the rate: {rate.ground}"),
        "full rate while busy",
        widened=rate.widened,
    )


def _rented(chip: Chip, hourly: float, rate: Estimate) -> Estimate:
    def usd(at: float) -> float:
        return 1e6 * hourly / 3600 / at

    rests = (_source(chip), f"the rate: {rate.ground}")
    return Estimate(
        usd(rate.value), usd(rate.high), usd(rate.low), "USD", "formula", rests, "full rate, rented by the hour"
    )


def _source(chip: Chip) -> str:
    figure = chip.hourly or chip.price
    assert figure is not None
    what = "an hour" if chip.hourly is not None else "for one"
    return f"{figure.value:g} USD {what} ({figure.status}, {figure.date}, {figure.source})"
