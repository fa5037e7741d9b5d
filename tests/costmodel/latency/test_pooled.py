"""The pooled fit finds prices that made the rows, and shares them among chips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shoestring.chips.published import published_networks, published_rows
from shoestring.costmodel.latency.observations import Observation, observations
from shoestring.costmodel.latency.pooled import Design, _objective, _step, fit, predict_log
from shoestring.costmodel.latency.terms import NAMES, terms


@pytest.fixture(scope="module")
def some() -> list[Observation]:
    """Rows of four chips."""
    rows = observations(published_rows(), published_networks())
    return [row for row in rows if row.setting.chip in ("rpi4b", "rpi3b+", "rpi_zero2w", "jetson_nano")]


def test_finds_the_prices_that_made_the_rows(some: list[Observation]) -> None:
    """Rows made from known prices are predicted without having been seen."""
    price = np.linspace(-0.5, 0.5, len(NAMES))
    made = [
        replace(row, log_ms=float(np.log(terms([row.features]) @ np.exp(price))[0]) + 2, noisy=False) for row in some
    ]
    seen = [row for row in made if row.network != "resnet50"]
    hidden = [row for row in made if row.network == "resnet50"]
    weights = fit(seen)
    errors = [predict_log(weights, row.setting, terms([row.features]))[0] - row.log_ms for row in hidden]
    assert hidden
    assert np.abs(errors).max() < 0.1


def test_a_fit_of_broken_rows_is_seen(some: list[Observation]) -> None:
    """Shuffled latencies, which no price explains, are fitted far worse: the fit does not simply learn by heart."""
    order = np.random.default_rng(5).permutation(len(some))
    broken = [replace(row, log_ms=some[at].log_ms) for row, at in zip(some, order, strict=True)]

    def off(rows: list[Observation]) -> float:
        weights = fit(rows)
        return float(np.median([abs(predict_log(weights, r.setting, terms([r.features]))[0] - r.log_ms) for r in rows]))

    assert off(some) < 0.12
    assert off(broken) > 0.4


def test_the_blockwise_step_solves_the_whole_system(some: list[Observation]) -> None:
    """Elimination chip by chip gives a step that lowers the objective, and none at the optimum."""
    weights = fit(some, steps=60)
    design = Design(some)
    there = np.array([weights[name] for name in design.index])
    assert np.abs(_step(design, there, 0.0)).max() < 0.05
    assert _objective(design, there) < _objective(design, np.zeros(len(there)))


def test_a_chip_of_known_cores_needs_no_rows(some: list[Observation]) -> None:
    """A chip left out is predicted by those with its core, scaled by its clock."""
    weights = fit([row for row in some if row.setting.chip != "rpi3b+"])
    hidden = [row for row in some if row.setting.chip == "rpi3b+" and row.setting.kind == "fp"]
    errors = [predict_log(weights, row.setting, terms([row.features]))[0] - row.log_ms for row in hidden]
    assert np.median(np.abs(errors)) < 0.3
