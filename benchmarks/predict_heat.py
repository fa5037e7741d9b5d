"""How well two thermal poles foretell temperature: fitted on the first half of a run, held against the second.

The prior of each fit is learnt from the other runs only. Watts and how busy the processor was are given for the whole
run; temperatures of the second half are not. `half` is of the run's time; the same by samples is printed below.

    python benchmarks/predict_heat.py
    python benchmarks/predict_heat.py --write    # renews the table of constants, from whole runs
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shoestring.chips.published import published_temperatures
from shoestring.costmodel.heat.fitting import ThermalFit, fit_thermal, learnt
from shoestring.costmodel.heat.traces import Trace, trace_of
from shoestring.domain.measured import HeatSeries

GOAL_KELVIN = 1.5
TABLE = Path(__file__).parents[1] / "src/shoestring/chips/published/thermal_fits.csv"
COLUMNS = (
    "series",
    "board",
    "cooling",
    "resistance",
    "resistance_spread",
    "slow_s",
    "fast_s",
    "fast_share",
    "ambient_celsius",
    "above_idle",
    "rmse_kelvin",
    "idle_watts",
    "full_watts",
    "metered",
    "source",
)


@dataclass(frozen=True)
class Held:
    """The second half of one run."""

    series: HeatSeries
    errors: tuple[float, ...]
    floor: float
    why: str

    @property
    def rmse(self) -> float:
        return float(np.sqrt(np.mean(np.square(self.errors))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        write()
    for by in ("time", "samples"):
        report(by)


def whole_fits() -> dict[str, tuple[ThermalFit, Trace]]:
    """Every run fitted whole."""
    traces = {series.name: trace_of(series) for series in published_temperatures()}
    return {name: (fit_thermal(trace), trace) for name, trace in traces.items()}


def held_out(by: str) -> list[Held]:
    """Every run's second half, foretold from its first."""
    whole = whole_fits()
    found = []
    for series in published_temperatures():
        fit, trace = whole[series.name]
        middle = (trace.seconds[0] + trace.seconds[-1]) / 2
        count = sum(at <= middle for at in trace.seconds) if by == "time" else (len(trace.seconds) + 1) // 2
        others = [(other, max(seen.watts)) for name, (other, seen) in whole.items() if name != series.name]
        half = fit_thermal(trace.first(count), learnt(others))
        errors = (half.celsius(trace) - np.array(trace.celsius))[count:]
        found.append(Held(series, tuple(errors.tolist()), fit.rmse_kelvin, reason(trace, count, fit)))
    return found


def reason(trace: Trace, count: int, whole: ThermalFit) -> str:
    """What limits this run, from its own numbers."""
    before, after = max(trace.watts[1:count]), max(trace.watts[count:])
    found = []
    if before < 0.8 * after:
        found.append(f"first half shows {before:.1f} W, second {after:.1f} W")
    if whole.rmse_kelvin > GOAL_KELVIN:
        found.append(f"two poles and these watts miss the whole run by {whole.rmse_kelvin:.1f} K")
    if not trace.watts_measured:
        found.append("no meter")
    return "; ".join(found)


def report(by: str) -> None:
    """Print the table of one way to halve."""
    rows = held_out(by)
    print(f"\nhalves by {by}: error of the second half, C\n")
    print("| run | board | n | rmse | mean | whole run fitted | met 1.5 | what limits it |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        met = "yes" if row.rmse <= GOAL_KELVIN else "no"
        print(
            f"| {row.series.name} | {row.series.board} | {len(row.errors)} | {row.rmse:.1f} "
            f"| {np.mean(row.errors):+.1f} | {row.floor:.1f} | {met} | {row.why} |"
        )
    every = np.concatenate([row.errors for row in rows])
    print(
        f"\n{sum(row.rmse <= GOAL_KELVIN for row in rows)} of {len(rows)} runs within {GOAL_KELVIN:g} C; median rmse "
        f"of a run {np.median([row.rmse for row in rows]):.1f} C; all samples together "
        f"{np.sqrt(np.mean(every**2)):.1f} C; median rmse with the whole run fitted "
        f"{np.median([row.floor for row in rows]):.1f} C"
    )


def write() -> None:
    """Renew the table of constants."""
    whole = whole_fits()
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for series in published_temperatures():
            fit, trace = whole[series.name]
            writer.writerow(
                [
                    series.name,
                    series.board,
                    series.cooling or "",
                    f"{fit.resistance:.2f}",
                    f"{fit.resistance_spread:.2f}",
                    f"{fit.poles.slow_s:.0f}",
                    f"{fit.poles.fast_s:.1f}",
                    f"{fit.poles.fast_share:.2f}",
                    f"{fit.ambient_celsius:.1f}",
                    f"{fit.above_idle:.2f}",
                    f"{fit.rmse_kelvin:.2f}",
                    series.idle_watts,
                    series.full_watts,
                    "yes" if trace.watts_measured else "no",
                    series.source,
                ]
            )


if __name__ == "__main__":
    main()
