"""Fits find the constants that made a trace, say what doubt is left, and follow a prior where the trace is silent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shoestring.costmodel.heat.fitting import ROOMS, Belief, ThermalFit, fit_thermal, learnt
from shoestring.costmodel.heat.traces import Trace
from shoestring.domain.heat.poles import Poles

TRUE = ThermalFit(Poles(180.0, 8.0, 0.35), 6.5, 26.0, 1.0, 0.0, 0.0)


def make_trace(watts: list[float], *, true: ThermalFit = TRUE, noise: float = 0.2, seed: int = 0) -> Trace:
    seconds = tuple(10.0 * number for number in range(len(watts)))
    start = true.ambient_celsius + true.resistance * watts[0]
    clean = Trace(seconds, (start, *[0.0] * (len(watts) - 1)), tuple(watts), 3.0, watts_measured=True)
    strays = np.random.default_rng(seed).normal(0, noise, len(watts))
    return replace(clean, celsius=tuple((true.celsius(clean) + strays).tolist()))


SWINGING = [3.0] * 30 + [6.5] * 60 + [4.0] * 60 + [6.5] * 40
STEADY = [4.0] * 190


@pytest.mark.parametrize("seed", range(4))
def test_the_constants_that_made_a_trace_are_found(seed: int) -> None:
    fit = fit_thermal(make_trace(SWINGING, seed=seed))
    assert fit.resistance == pytest.approx(6.5, rel=0.05)
    assert fit.ambient_celsius == pytest.approx(26.0, abs=1.5)
    assert fit.poles.slow_s == pytest.approx(180, rel=0.15)
    assert fit.poles.fast_share == pytest.approx(0.35, abs=0.07)
    assert fit.rmse_kelvin < 0.3


def test_the_second_half_is_foretold_from_the_first() -> None:
    trace = make_trace([*SWINGING, *SWINGING])
    half = fit_thermal(trace.first(len(SWINGING)))
    errors = half.celsius(trace) - np.array(trace.celsius)
    assert np.sqrt(np.mean(errors[len(SWINGING) :] ** 2)) < 0.6


def test_one_level_of_watts_leaves_more_doubt_than_two() -> None:
    one, two = fit_thermal(make_trace(STEADY)), fit_thermal(make_trace(SWINGING))
    assert one.resistance_spread > 3 * two.resistance_spread
    # Where the trace is silent about the air, the prior's air is taken.
    assert one.ambient_celsius == pytest.approx(ROOMS.ambient.middle, abs=1.0)
    assert abs(two.ambient_celsius - 26.0) < abs(one.ambient_celsius - 26.0)


def test_watts_that_are_not_those_of_the_trace_cannot_explain_it() -> None:
    trace = make_trace(SWINGING)
    wrong = replace(trace, watts=tuple(reversed(trace.watts)))
    assert fit_thermal(wrong).rmse_kelvin > 10 * fit_thermal(trace).rmse_kelvin


def test_one_odd_reading_moves_nothing() -> None:
    trace = make_trace(SWINGING)
    odd = replace(trace, celsius=(*trace.celsius[:100], 110.0, *trace.celsius[101:]))
    assert fit_thermal(odd).resistance == pytest.approx(fit_thermal(trace).resistance, rel=0.02)


def test_a_meter_is_believed_and_a_reckoning_is_not() -> None:
    stronger = replace(TRUE, above_idle=1.4)
    trace = make_trace(SWINGING, true=stronger)
    sure = replace(ROOMS, ambient=Belief(26.0, 0.1))
    reckoned = fit_thermal(replace(trace, watts_measured=False), sure)
    metered = fit_thermal(trace, sure)
    assert reckoned.above_idle == pytest.approx(1.4, rel=0.1)
    assert metered.above_idle < 1.2
    assert metered.rmse_kelvin > reckoned.rmse_kelvin


def test_other_boards_teach_time_constants_and_no_air() -> None:
    fits = [(replace(TRUE, poles=Poles(slow, 8.0, 0.35)), 6.0) for slow in (50.0, 60.0, 70.0, 80.0, 90.0)]
    prior = learnt(fits)
    assert np.exp(prior.slow.middle) == pytest.approx(70)
    assert np.exp(prior.rise.middle) == pytest.approx(6.5 * 6.0)
    assert prior.slow.spread >= 0.3
    assert prior.ambient == ROOMS.ambient
    assert learnt(fits[:4]) == ROOMS
