"""What a board keeps up, with its doubt; and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chip_of import chip, cooling, figure
from shoestring.base.errors import UsageError
from shoestring.costmodel.heat import Load, Outlook, outlook
from shoestring.domain.estimate import Estimate, NoClaim

RATE = Estimate(20.0, 18.0, 22.0, "1/s", "calibrated", ("rows",), "batch 1")
LOAD = Load(RATE, None, 30.0, 35.0)


def seen(load: Load = LOAD, **changes: object) -> Outlook:
    found = outlook(chip(**changes), load)
    assert isinstance(found, Outlook)
    return found


def test_a_bare_board_in_warm_air_loses_rate() -> None:
    found = seen().sustained
    assert found.throttles_after_s is not None and 10 < found.throttles_after_s < 600
    assert found.rate.low < found.rate.value < 20
    assert found.peak_celsius.value == pytest.approx(80, abs=2)


def test_asked_for_little_it_stays_cool_and_keeps_up() -> None:
    found = seen(replace(LOAD, asked=5.0)).sustained
    assert found.throttles_after_s is None
    assert found.rate.value == pytest.approx(5.0)
    assert found.watts.value == pytest.approx(2 + 4 * 5 / 20)


def test_the_band_holds_the_curve() -> None:
    found = seen()
    for low, moment, high in zip(found.low, found.curve, found.high, strict=True):
        assert low <= moment.celsius <= high
    assert found.limits == (80.0,)


def test_a_battery_lasts_its_energy_over_the_watts() -> None:
    found = seen(replace(LOAD, asked=5.0, battery_wh=30.0)).sustained
    assert found.battery_hours is not None
    assert found.battery_hours.value == pytest.approx(30 / 3.0)
    assert found.battery_hours.low < found.battery_hours.value < found.battery_hours.high


def test_the_best_cooling_is_assumed_and_another_can_be_named() -> None:
    both = (cooling("bare", 12.0), cooling("fan", 10.0, steps=((50.0, 3.0),)))
    assert seen(coolings=both).sustained.cooling == "fan"
    assert seen(replace(LOAD, cooling="bare"), coolings=both).sustained.cooling == "bare"
    with pytest.raises(UsageError, match="no thermal model for cooling 'heatsink'"):
        seen(replace(LOAD, cooling="heatsink"), coolings=both)


@pytest.mark.parametrize(("missing", "word"), [({"coolings": ()}, "thermal constants"), ({"power": None}, "watts")])
def test_without_constants_there_is_no_claim(missing: dict[str, object], word: str) -> None:
    found = outlook(chip(**missing), LOAD)
    assert isinstance(found, NoClaim) and word in found.why


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ambient_celsius": 70.0}, "ambient 70 C is outside the 0 to 50 C"),
        ({"ambient_celsius": -5.0}, "ambient -5 C is outside the 0 to 50 C"),
        ({"minutes": 0.0}, "0 minutes"),
        ({"minutes": 1e9}, "minutes are outside"),
        ({"battery_wh": -1.0}, "battery of -1 Wh"),
        ({"asked": 0.0}, "0 examples a second"),
        ({"ambient_celsius": float("nan")}, "ambient nan C"),
    ],
)
def test_what_nobody_can_mean_is_refused(changes: dict[str, float], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        outlook(chip(), replace(LOAD, **changes))  # type: ignore[arg-type]


def test_a_board_without_a_throttling_figure_says_that_none_was_assumed() -> None:
    found = seen(throttle=(), ambient_high=figure(60, "C"))
    assert found.sustained.throttles_after_s is None
    assert any("none was assumed" in words for words in found.sustained.rate.rests_on)
