"""What is believed of a sensor. Each rule is held against judges that break it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoestring.device.sensors.judge import PLAIN, Memory, Rules, heat_rules, judge
from shoestring.device.sensors.rise import Rise, Silicon, silicon_of
from shoestring.domain.heat.simulate import Plant
from shown_board import PI_4, PI_4_KELVIN, Board

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Judge = Callable[..., tuple[Memory, str]]

SILICON = silicon_of(Plant(PI_4, 12.0, (), (), 1.6, 5.0, 25.0))
RULES = heat_rules(SILICON)
IMPOSSIBLE = (-256.0, -89.0, -40.0, 0.0, 150.0, 1e6, math.inf, -math.inf, math.nan)


def watch(values: Sequence[float], loads: Sequence[float], rules: Rules, judging: Judge = judge) -> Iterator[str]:
    """The verdict on each value, one a second, as real sensors are judged."""
    memory, rise = Memory(), Rise()
    for second, (value, load) in enumerate(zip(values, loads, strict=True)):
        rise = rise.after(load, 1.0, SILICON)
        memory, kind = judging(memory, value, float(second), rules, driver=rise.kelvin, busy=load >= 0.25)
        yield kind


def judge_without_range(memory: Memory, value: float, at_s: float, rules: Rules, **more: object) -> tuple[Memory, str]:
    return judge(memory, value, at_s, replace(rules, low=-math.inf, high=math.inf, no_zero=False, jump=None), **more)


def judge_by_repeats(memory: Memory, value: float, at_s: float, rules: Rules, **more: object) -> tuple[Memory, str]:
    """Calls stuck whatever repeats: the obvious rule, and wrong."""
    memory, kind = judge(memory, value, at_s, replace(rules, moved=None), **more)
    return memory, "stuck" if memory.looks > 10 else kind


def judge_never_stuck(memory: Memory, value: float, at_s: float, rules: Rules, **more: object) -> tuple[Memory, str]:
    return judge(memory, value, at_s, replace(rules, moved=None), **more)


def judge_trusting_at_once(
    memory: Memory, value: float, at_s: float, rules: Rules, **more: object
) -> tuple[Memory, str]:
    return judge(memory, value, at_s, replace(rules, trust_again_s=0.0), **more)


def all_impossible_found(judging: Judge) -> bool:
    return all(list(watch([45.0, value], [0.0, 0.0], RULES, judging))[1] == "impossible" for value in IMPOSSIBLE)


def quiet_board_believed(judging: Judge) -> bool:
    """Ten minutes of a cool board at rest whose sensor has coarse steps and no noise."""
    board = Board(0, noise=0.0, quantum=1.0)
    values = [board.said()] * 600
    return not any(watch(values, [0.0] * 600, RULES, judging))


def seconds_until_stuck(judging: Judge, load: float, rest_s: int = 90) -> int | None:
    """From the moment at which a board whose sensor has just got stuck gets busy."""
    board = Board(1)
    values = []
    for _ in range(rest_s):
        board.advance(0.05)
        values.append(board.said())
    values += [values[-1]] * 60
    verdicts = list(watch(values, [0.05] * rest_s + [load] * 60, RULES, judging))
    assert not any(verdicts[:rest_s])
    found = [second for second, kind in enumerate(verdicts[rest_s:], 1) if kind == "stuck"]
    return found[0] if found else None


def test_values_that_no_processor_has_are_not_believed() -> None:
    assert all_impossible_found(judge)
    assert not all_impossible_found(judge_without_range)


def test_a_quiet_cool_board_repeats_itself_honestly() -> None:
    assert quiet_board_believed(judge)
    assert not quiet_board_believed(judge_by_repeats)


@pytest.mark.parametrize(("load", "most_s"), [(1.0, 3), (0.5, 6)])
def test_a_value_that_stands_while_the_board_gets_busy_is_stuck(load: float, most_s: int) -> None:
    found = seconds_until_stuck(judge, load)
    assert found is not None
    assert found <= most_s
    assert seconds_until_stuck(judge_never_stuck, load) is None


def test_nothing_is_stuck_without_a_known_load() -> None:
    memory = Memory()
    for second in range(1000):
        memory, kind = judge(memory, 50.0, float(second), RULES)
        assert kind == ""


def test_a_value_that_stands_under_load_far_longer_than_ever_is_stuck() -> None:
    """Steady load: no pole moves, so only the sensor's own habit tells."""
    board = Board(2)
    values = []
    for _ in range(600):
        board.advance(0.8)
        values.append(board.said())
    values += [values[-1]] * 600
    verdicts = list(watch(values, [0.8] * 1200, RULES))
    assert not any(verdicts[:600])
    assert "stuck" in verdicts[600:]
    assert verdicts[-1] == "stuck"


@pytest.mark.parametrize("seed", range(20))
def test_an_honest_sensor_is_believed_through_any_load(seed: int) -> None:
    """Boards that really warm by 25 % more or less than their file says, loads that change at random, 20 minutes."""
    board = Board(seed, kelvin=PI_4_KELVIN * (0.75 + 0.5 * seed / 19), quantum=(0.487, 1.0)[seed % 2])
    load, values, loads = 0.0, [], []
    for second in range(1200):
        if second % (5 + seed) == 0:
            load = (second * 7919 + seed * 104729) % 101 / 100
        board.advance(load)
        values.append(board.said())
        loads.append(load)
    assert not any(watch(values, loads, RULES))


def test_a_jump_that_this_silicon_cannot_make_is_not_believed() -> None:
    assert list(watch([70.0, 70.5, 20.0], [0.5] * 3, RULES)) == ["", "", "impossible"]
    laptop = heat_rules(Silicon())
    assert list(watch([45.0, 90.0, 50.0], [0.5] * 3, laptop)) == ["", "", ""]


def test_a_long_pause_allows_any_change() -> None:
    memory, _ = judge(Memory(), 80.0, 0.0, RULES)
    assert judge(memory, 22.0, 600.0, RULES)[1] == ""


def test_a_bare_zero_is_believed_in_the_frost_only() -> None:
    assert list(watch([0.0], [0.0], RULES)) == ["impossible"]
    assert list(watch([1.2, 0.0, -0.8], [0.0] * 3, RULES)) == ["", "", ""]


def trusted_again_after(judging: Judge) -> int:
    """Looks after a lie until the sensor is believed, when it speaks well from then on."""
    values = [50.0, -256.0, *(50.0 + second % 3 for second in range(60))]
    return list(watch(values, [0.5] * len(values), RULES, judging))[2:].index("")


def test_a_liar_is_heard_for_a_while_before_it_is_believed() -> None:
    assert trusted_again_after(judge) >= 9
    assert trusted_again_after(judge_trusting_at_once) == 0


def test_a_liar_that_repeats_one_value_stays_a_liar() -> None:
    values = [70.0, 71.0, 15.0, *[15.0] * 300]
    assert set(list(watch(values, [0.9] * len(values), RULES))[2:]) <= {"impossible", "stuck"}


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30))
def test_whatever_a_sensor_says_only_possible_values_pass(values: list[float]) -> None:
    for value, kind in zip(values, watch(values, [0.3] * len(values), RULES), strict=True):
        assert kind in ("", "impossible", "stuck")
        assert kind or -40 < value < 150


@pytest.mark.parametrize(
    ("field", "value"),
    [("watts", 0.0), ("watts", -3.0), ("watts", 1e6), ("clock", 0.0), ("clock", 7.0), ("pressure", -1.0),
     ("pressure", 101.0), ("memory_free_bytes", -5.0), ("battery_wh", -1.0), ("bits", float(1 << 24)),
     ("watts", math.nan)],
)  # fmt: skip
def test_other_sensors_have_ranges_too(field: str, value: float) -> None:
    assert judge(Memory(), value, 0.0, PLAIN[field])[1] == "impossible"


def test_watts_that_stand_while_the_load_changes_are_stuck() -> None:
    memory, kinds = Memory(), []
    for second, load in enumerate([0.1, 0.1, 0.9, 0.9]):
        memory, kind = judge(memory, 4.321, float(second), PLAIN["watts"], driver=load)
        kinds.append(kind)
    assert kinds == ["", "", "stuck", "stuck"]
