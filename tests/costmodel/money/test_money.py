"""Energy and price against sums done by hand."""

from __future__ import annotations

import pytest

from chip_of import chip, figure
from shoestring.base.errors import UsageError
from shoestring.costmodel.money import Assumptions, energy_per_example, price_per_million
from shoestring.domain.estimate import Estimate, NoClaim

RATE = Estimate(20.0, 16.0, 25.0, "1/s", "calibrated", ("rows",), "batch 1")
FREE = Assumptions(life_years=5.0, kwh_usd=0.2, busy=1.0)


def test_energy_is_watts_over_rate() -> None:
    found = energy_per_example(chip(), RATE, 4)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(1000 * 6 / 20)
    assert found.low == pytest.approx(1000 * 6 * 0.85 / 25)
    assert found.high == pytest.approx(1000 * 6 * 1.15 / 16)


def test_one_of_four_cores_draws_a_quarter_of_the_load() -> None:
    found = energy_per_example(chip(), RATE, 1)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(1000 * (2 + 4 / 4) / 20)


def test_a_million_costs_the_board_over_its_life_and_its_electricity() -> None:
    energy = energy_per_example(chip(), RATE, 4)
    found = price_per_million(chip(), RATE, energy, FREE)
    assert isinstance(found, Estimate)
    seconds = 1e6 / 20
    board = 55 * seconds / (5 * 8766 * 3600)
    power = 6 * seconds / 3.6e6 * 0.2
    assert found.value == pytest.approx(board + power)
    assert found.low < found.value < found.high


def test_a_board_that_idles_pays_for_it() -> None:
    energy = energy_per_example(chip(), RATE, 4)
    rarely = price_per_million(chip(), RATE, energy, Assumptions(kwh_usd=0.2, busy=0.1))
    assert isinstance(rarely, Estimate)
    seconds = 1e6 / 20
    wanted = 55 * seconds / (5 * 8766 * 3600 * 0.1) + (6 + 2 * 9) * seconds / 3.6e6 * 0.2
    assert rarely.value == pytest.approx(wanted)


def test_a_rented_machine_costs_its_rent() -> None:
    rented = chip(hourly=figure(0.72, "USD"), price=None, power=None)
    found = price_per_million(rented, RATE, NoClaim("no watts"), FREE)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(0.72 / 3600 / 20 * 1e6)


def test_nothing_known_is_no_claim() -> None:
    assert isinstance(energy_per_example(chip(power=None), RATE, 4), NoClaim)
    assert isinstance(energy_per_example(chip(), NoClaim("nothing"), 4), NoClaim)
    assert isinstance(price_per_million(chip(price=None), RATE, NoClaim("x"), FREE), NoClaim)


@pytest.mark.parametrize(
    "wrong", [{"life_years": 0.0}, {"kwh_usd": -0.1}, {"busy": 0.0}, {"busy": 1.1}, {"life_years": float("nan")}]
)
def test_assumptions_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Assumptions(**wrong)
