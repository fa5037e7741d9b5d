"""The shipped data are what the command learns from the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shoestring.chips.published import published_networks, published_rows
from shoestring.costmodel.latency.cases import published_cases, published_weights
from shoestring.costmodel.latency.elsewhere import expected_error, related
from shoestring.costmodel.latency.learn import STEPS, own_cases
from shoestring.costmodel.latency.observations import observations
from shoestring.costmodel.latency.pooled import Design, _objective, fit, predict_log
from shoestring.costmodel.latency.terms import terms


def test_the_shipped_weights_are_the_optimum_of_the_table() -> None:
    """No step from them gains anything, and weights that were moved lose."""
    seen = observations(published_rows(), published_networks())
    design = Design(seen)
    shipped = published_weights()
    assert set(design.index) == set(shipped)
    there = np.array([shipped[name] for name in design.index])
    again = fit(seen, start=shipped, steps=2)
    gain = _objective(design, there) - _objective(design, np.array([again[name] for name in design.index]))
    assert gain < 0.003 * len(seen)
    assert _objective(design, there * 1.2) - _objective(design, there) > 0.02 * len(seen)


def test_a_networks_cases_come_from_a_fit_without_it() -> None:
    """One network's shipped errors are computed again."""
    seen = observations(published_rows(), published_networks())
    known = fit([row for row in seen if row.network != "googlenet"], steps=STEPS)
    cases = [case for case in published_cases() if (case.ground, case.network) == ("calibrated", "googlenet")]
    cases = [case for case in cases if not case.relation]
    rows = [row for row in seen if row.network == "googlenet"]
    assert len(cases) == len(rows) > 50
    for case, row in zip(cases, rows, strict=True):
        assert case.log_ms == pytest.approx(row.log_ms, abs=1e-3)
    bare = [float(predict_log(known, replace(row.setting, run=""), terms([row.features]))[0]) for row in rows]
    alone = [(row, guess, guess) for row, guess in zip(rows, bare, strict=True)]
    said = [case.predicted for case in own_cases(seen, alone)][: len(rows)]
    assert [case.predicted for case in cases] == pytest.approx(said, abs=0.02)


def test_a_fit_that_knew_the_network_would_be_told_apart() -> None:
    """A fold that starts from the whole table's weights comes nearer to the truth than one that learns from nothing."""
    seen = observations(published_rows(), published_networks())
    leaky = fit([row for row in seen if row.network != "shufflenet"], start=published_weights(), steps=4)
    rows = [row for row in seen if row.network == "shufflenet"]
    leaked = [abs(predict_log(leaky, row.setting, terms([row.features]))[0] - row.log_ms) for row in rows]
    elsewhere = fit([row for row in seen if row.network != "shufflenet"], steps=STEPS)
    honest = [abs(predict_log(elsewhere, row.setting, terms([row.features]))[0] - row.log_ms) for row in rows]
    assert np.median(honest) > 1.2 * np.median(leaked)


def test_errors_elsewhere_weigh_by_nearness() -> None:
    seen = observations(published_rows(), published_networks())
    by = {row.setting.chip: row.setting for row in seen if row.setting.kind == "fp" and not row.setting.mixed}
    near, far = by["tda4vm_bbai64"], by["celeron_n5105"]
    here = by["rpi4b"]
    assert related(here.core, here.isa, near.core, near.isa) == "core"
    assert related(here.core, here.isa, far.core, far.isa) == "x86"
    assert expected_error(here, []) == 0.0
    assert expected_error(here, [(near, 0.4)]) > 2 * expected_error(here, [(far, 0.4)]) > 0
