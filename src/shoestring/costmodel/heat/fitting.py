"""Thermal constants of a board from what it was seen to do."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from shoestring.costmodel.heat.traces import Trace, respond
from shoestring.domain.heat.poles import Poles

if TYPE_CHECKING:
    from shoestring.costmodel.heat.traces import Numbers

SENSOR_K = 0.7
"""Kelvin by which a sample strays: sensors step by 0.5 to 1 K, and the load jumps within an interval. Beyond a few of
these a sample counts less (soft L1), so that one odd reading moves nothing."""

METERED = 0.02
"""Doubt, as a share, of what a meter says about watts above idle."""


@dataclass(frozen=True)
class Belief:
    """What is thought of a constant before the board was seen: a middle and a standard deviation."""

    middle: float
    spread: float


@dataclass(frozen=True)
class Prior:
    """Beliefs of all constants. Where a trace tells, it outweighs them; where it is silent, they stand.

    Args:
        ambient: C, of the air; people run boards in rooms.
        rise: natural logarithm of the rise at the trace's largest watts, K.
        slow: natural logarithm of the slow time constant, s.
        fast: of the fast one.
        share: logit of the fast part's share of the resistance.
        above_idle: natural logarithm of true watts above idle over those reckoned.
    """

    ambient: Belief
    rise: Belief
    slow: Belief
    fast: Belief
    share: Belief
    above_idle: Belief


ROOMS = Prior(
    ambient=Belief(24.0, 3.0),
    rise=Belief(3.4, 0.6),
    slow=Belief(4.6, 0.7),
    fast=Belief(1.8, 0.7),
    share=Belief(-0.6, 0.8),
    above_idle=Belief(0.0, 0.25),
)
"""A board nobody has seen, in a room; unverified beyond the boards of `temperatures.csv`."""


@dataclass(frozen=True)
class ThermalFit:
    """Constants that explain a trace.

    Args:
        poles: of chip and air.
        resistance: K/W from chip to air.
        ambient_celsius: of the air, fitted along.
        above_idle: true watts above idle over those of the trace.
        rmse_kelvin: over the samples it was fitted to.
        resistance_spread: standard deviation of the logarithm of the resistance: 0.25 is a doubt of 25 %.
    """

    poles: Poles
    resistance: float
    ambient_celsius: float
    above_idle: float
    rmse_kelvin: float
    resistance_spread: float

    def celsius(self, trace: Trace) -> Numbers:
        """Temperatures for the watts of a trace, begun at its first temperature."""
        watts = trace.idle_watts + self.above_idle * (np.array(trace.watts) - trace.idle_watts)
        kelvin = (self.resistance * watts).tolist()
        fast = self.poles.fast_share * kelvin[0]
        start = (trace.celsius[0] - self.ambient_celsius - fast, fast)
        return self.ambient_celsius + respond(self.poles, trace.seconds, kelvin, start)


def fit_thermal(trace: Trace, prior: Prior = ROOMS) -> ThermalFit:
    """Two poles, resistance and ambient, by least squares with a prior (maximum a posteriori).

    Ambient and resistance part only where the trace holds two levels of watts; with one, the ambient's prior decides.

    Args:
        trace: what was seen.
        prior: what was thought before.

    Returns:
        The constants. `resistance_spread` says what doubt is left (Laplace's approximation: the inverse of the normal
        equations at the optimum).
    """
    from scipy.optimize import least_squares

    beliefs = _beliefs(prior, metered=trace.watts_measured)
    middles = np.array([belief.middle for belief in beliefs])
    spreads = np.array([belief.spread for belief in beliefs])
    seen = np.array(trace.celsius)
    largest = max(trace.watts)

    def misfit(at: Numbers) -> Numbers:
        strays = (_fit_of(at, largest).celsius(trace) - seen)[1:] / SENSOR_K
        # Soft L1 as a residual, so that the prior stays quadratic.
        softened = np.sign(strays) * np.sqrt(2 * (np.sqrt(1 + strays**2) - 1))
        found: Numbers = np.concatenate([softened, (at - middles) / spreads])
        return found

    found = least_squares(misfit, middles, x_scale=spreads, max_nfev=300)
    slopes = np.asarray(found.jac, dtype=np.float64)
    covariance = np.linalg.inv(slopes.T @ slopes)
    fit = _fit_of(found.x, largest)
    rmse = float(np.sqrt(np.mean((fit.celsius(trace) - seen)[1:] ** 2)))
    return ThermalFit(
        fit.poles, fit.resistance, fit.ambient_celsius, fit.above_idle, rmse, float(np.sqrt(covariance[1, 1]))
    )


def learnt(fits: list[tuple[ThermalFit, float]], base: Prior = ROOMS) -> Prior:
    """The prior that other boards' fits give: medians, and spreads from the median absolute deviation.

    Args:
        fits: of other traces, with the largest watts of each; at least five, or `base` stands.
        base: gives what fits cannot teach: the air of rooms and the doubt of watts.
    """
    if len(fits) < 5:
        return base
    slow = _belief([np.log(fit.poles.slow_s) for fit, _ in fits])
    fast = _belief([np.log(fit.poles.fast_s) for fit, _ in fits])
    share = _belief([np.log(fit.poles.fast_share / (1 - fit.poles.fast_share)) for fit, _ in fits])
    rise = _belief([np.log(fit.resistance * watts) for fit, watts in fits])
    return Prior(base.ambient, rise, slow, fast, share, base.above_idle)


def _belief(values: list[float]) -> Belief:
    middle = float(np.median(values))
    # 1.4826 makes the median absolute deviation a standard deviation for a normal law; never surer than 30 %.
    return Belief(middle, max(0.3, 1.4826 * float(np.median(np.abs(np.array(values) - middle)))))


def _beliefs(prior: Prior, *, metered: bool) -> list[Belief]:
    found: list[Belief] = [getattr(prior, field.name) for field in fields(prior)]
    if metered:
        found[-1] = Belief(0.0, METERED)
    return found


def _fit_of(at: Numbers, largest: float) -> ThermalFit:
    ambient, rise, slow, fast, share, above = (float(value) for value in at)
    # Far from any belief exp overflows; these ends are beyond what a board can do.
    slow, fast, rise = (min(max(value, -3.0), 9.0) for value in (slow, fast, rise))
    poles = Poles(float(np.exp(slow)), float(np.exp(fast)), float(1 / (1 + np.exp(-np.clip(share, -20, 20)))))
    return ThermalFit(poles, float(np.exp(rise)) / largest, ambient, float(np.exp(np.clip(above, -3, 3))), 0.0, 0.0)
