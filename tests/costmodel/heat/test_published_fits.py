"""The shipped table of thermal constants is what the shipped runs give."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest

from shoestring.chips.published import published_temperatures
from shoestring.costmodel.heat.fitting import fit_thermal
from shoestring.costmodel.heat.traces import trace_of
from shoestring.domain.measured import HeatSeries

TABLE = files("shoestring.chips.published").joinpath("thermal_fits.csv").read_text(encoding="utf-8")
ROWS = {row["series"]: row for row in csv.DictReader(TABLE.splitlines())}


def test_every_run_has_a_row_and_a_source_with_its_revision() -> None:
    assert set(ROWS) == {series.name for series in published_temperatures()}
    assert all("@" in series.source and series.name in series.source for series in published_temperatures())


@pytest.mark.parametrize("series", published_temperatures(), ids=lambda series: series.name)
def test_a_run_gives_the_constants_of_its_row(series: HeatSeries) -> None:
    fit, row = fit_thermal(trace_of(series)), ROWS[series.name]
    # Optimisers of other versions stop a little elsewhere.
    assert fit.resistance == pytest.approx(float(row["resistance"]), rel=0.03)
    assert fit.ambient_celsius == pytest.approx(float(row["ambient_celsius"]), abs=0.5)
    assert fit.rmse_kelvin == pytest.approx(float(row["rmse_kelvin"]), abs=0.05)
    assert row["source"] == series.source
