"""What a load does to a board's temperature, as far as sensors are judged by it."""

from __future__ import annotations

import pytest

from shoestring.device.sensors.rise import LEARN_S, Rise, Silicon, silicon_of
from shoestring.domain.heat.simulate import Plant
from shown_board import PI_4

BARE = silicon_of(Plant(PI_4, 12.0, (), (), 1.6, 5.0, 25.0))
COOLED = silicon_of(Plant(PI_4, 9.5, ((50.0, 3.8), (60.0, 3.4)), (), 2.8, 9.7, 25.0))


def known(load: float, silicon: Silicon, rise: Rise | None = None) -> Rise:
    """After a minute of that load."""
    return (rise or Rise()).after(load, LEARN_S, silicon)


def test_the_rise_follows_the_poles() -> None:
    rest = known(0.5, BARE)
    assert rest.kelvin == pytest.approx(12.0 * (1.6 + 0.5 * 3.4))
    assert rest.after(0.5, 100.0, BARE).kelvin == pytest.approx(rest.kelvin)
    assert rest.after(0.9, 0.0, BARE) == rest
    busy = rest.after(1.0, 6.0, BARE).kelvin - rest.kelvin
    assert 0.35 * 0.63 * 20.4 < busy < 0.35 * 0.63 * 20.4 + 1.0  # the fast part, and a little of the slow one


def test_the_first_busy_seconds_of_a_program_are_not_taken_for_the_boards_past() -> None:
    rise = Rise().after(1.0, 3.0, BARE)
    assert rise.kelvin is None
    for _ in range(57):
        rise = rise.after(0.0, 1.0, BARE)
    assert rise.kelvin == pytest.approx(12.0 * (1.6 + 0.05 * 3.4))


def test_an_unknown_load_is_forgotten_history() -> None:
    forgotten = known(1.0, BARE).after(None, 60.0, BARE)
    assert forgotten.kelvin is None
    assert known(0.2, BARE, forgotten) == known(0.2, BARE)


def test_a_fan_takes_from_the_rise_and_stops_a_little_later_than_it_started() -> None:
    rise = known(0.5, COOLED)
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
