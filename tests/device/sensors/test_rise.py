"""What a load does to a board's temperature, as far as sensors are judged by it."""

from __future__ import annotations

import pytest

from shoestring.device.sensors.rise import Rise, silicon_of
from shoestring.domain.heat.simulate import Plant
from shown_board import PI_4

BARE = silicon_of(Plant(PI_4, 12.0, (), (), 1.6, 5.0, 25.0))
COOLED = silicon_of(Plant(PI_4, 9.5, ((50.0, 3.8), (60.0, 3.4)), (), 2.8, 9.7, 25.0))


def test_the_rise_follows_the_poles() -> None:
    assert Rise().after(None, 1.0, BARE).kelvin is None
    rest = Rise().after(0.5, 1.0, BARE)
    assert rest.kelvin == pytest.approx(12.0 * (1.6 + 0.5 * 3.4))
    assert rest.after(0.5, 100.0, BARE).kelvin == pytest.approx(rest.kelvin)
    assert rest.after(0.9, 0.0, BARE) == rest
    busy = rest.after(1.0, 6.0, BARE).kelvin - rest.kelvin
    assert 0.35 * 0.63 * 20.4 < busy < 0.35 * 0.63 * 20.4 + 1.0  # the fast part, and a little of the slow one


def test_an_unknown_load_is_forgotten_history() -> None:
    known = Rise().after(1.0, 1.0, BARE).after(None, 60.0, BARE)
    assert known.kelvin is None
    assert known.after(0.2, 1.0, BARE) == Rise().after(0.2, 1.0, BARE)


def test_a_fan_takes_from_the_rise_and_stops_a_little_later_than_it_started() -> None:
    rise = Rise().after(0.5, 1.0, COOLED)
    assert rise.kelvin == pytest.approx(9.5 * (2.8 + 0.5 * 6.9))
    on = rise.seen(51.0, COOLED)
    assert on.level == 1
    assert on.after(0.5, 1e5, COOLED).kelvin == pytest.approx(3.8 * (2.8 + 0.5 * 6.9))
    assert on.seen(46.0, COOLED).level == 1
    assert on.seen(44.0, COOLED).level == 0


def test_silicon_from_a_chip_file() -> None:
    assert pytest.approx(40.8) == BARE.kelvin
    assert 7.0 < BARE.jump_each_s < 9.0
    assert COOLED.fan == ((50.0, pytest.approx(0.4)), (60.0, pytest.approx(3.4 / 9.5)))
