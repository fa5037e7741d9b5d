"""Traces: what is refused, and that a response is the closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from shoestring.base.errors import DataError
from shoestring.costmodel.heat.traces import Trace, respond, trace_of, utilised
from shoestring.domain.heat.poles import Poles
from shoestring.domain.measured import HeatSample, HeatSeries

GOOD = Trace((0, 1, 2, 3), (40, 41, 42, 43), (3, 5, 5, 5), 3.0, watts_measured=True)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"celsius": (40, 41, 42)}, "3 temperatures"),
        ({"seconds": (0, 1, 1, 3)}, "do not rise"),
        ({"celsius": (40, 41, math.nan, 43)}, "no number"),
        ({"watts": (3, -5, 5, 5)}, "-5"),
        ({"idle_watts": 0.0}, "idle is 0"),
    ],
)
def test_a_broken_trace_is_refused(broken: dict[str, object], told: str) -> None:
    with pytest.raises(DataError, match=told):
        replace(GOOD, **broken)  # type: ignore[arg-type]


def test_a_short_trace_is_refused() -> None:
    with pytest.raises(DataError, match="3 samples"):
        GOOD.first(3)


@pytest.mark.parametrize("gaps", [[1.0] * 60, [60.0], [7.0, 20.0, 33.0]])
def test_a_step_follows_both_exponentials_however_it_is_sampled(gaps: list[float]) -> None:
    poles, kelvin = Poles(100.0, 5.0, 0.3), 40.0
    seconds = [sum(gaps[:number]) for number in range(len(gaps) + 1)]
    rises = respond(poles, seconds, [kelvin] * len(seconds), (0.0, 0.0))
    closed = 0.7 * kelvin * (1 - math.exp(-60 / 100)) + 0.3 * kelvin * (1 - math.exp(-60 / 5))
    assert rises[-1] == pytest.approx(closed)
    # The sum would be another with one pole only.
    assert rises[-1] != pytest.approx(kelvin * (1 - math.exp(-60 / 100)), abs=1)


def test_watts_rise_evenly_with_the_busy_share() -> None:
    assert utilised([0, 0.25, 1], 2.0, 6.0) == (2.0, 3.0, 6.0)


def series(watts: list[float | None]) -> HeatSeries:
    seconds = [0.0, 10.0, 10.0, 20.0, 30.0, 40.0]
    samples = tuple(
        HeatSample(at, 0.5, 40.0 + number, value) for number, (at, value) in enumerate(zip(seconds, watts, strict=True))
    )
    return HeatSeries("x", "board", None, 2.0, 6.0, "nowhere", samples)


def test_metered_watts_are_taken_only_where_all_are_there() -> None:
    metered = trace_of(series([None, 3.0, 9.0, 3.5, 1.5, 4.0]))
    assert metered.watts_measured
    assert metered.watts == (4.0, 3.0, 3.5, 1.5, 4.0)
    assert metered.idle_watts == 1.5
    assert metered.celsius == (40, 41, 43, 44, 45)
    holes = trace_of(series([None, 3.0, 9.0, None, 1.5, 4.0]))
    assert not holes.watts_measured
    assert holes.watts == (4.0,) * 5
    assert holes.idle_watts == 2.0
