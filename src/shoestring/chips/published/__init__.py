"""Published measurements and the networks they were taken with, as data.

`rows.csv` holds one measurement a line, batch 1; `texts.csv` spells out its sources and conditions; `networks.csv` has
the counts of ncnn's benchmark networks, from their published graphs. `temperatures.csv` holds one sample of a board's run a
line; `thermal_fits.csv` is what `benchmarks/predict_heat.py --write` makes of it.
"""

from __future__ import annotations

import csv
import functools
from importlib import resources
from typing import TYPE_CHECKING, Any

from shoestring.domain.features import Features
from shoestring.domain.measured import HeatSample, HeatSeries, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

_COUNTS = (
    "conv3x3_macs",
    "conv1x1_macs",
    "convk_macs",
    "dw_macs",
    "group_macs",
    "fc_macs",
    "other_macs",
    "params",
    "act_elems",
    "layers",
    "conv_fc_layers",
)


@functools.cache
def published_rows() -> tuple[Row, ...]:
    """Every published measurement, in the order of the file."""
    texts = {line["key"]: line["text"] for line in _lines("texts.csv")}
    return tuple(_row(line, texts) for line in _lines("rows.csv"))


@functools.cache
def published_networks() -> dict[tuple[str, str], Features]:
    """Features by (model, input), as rows name them. A network's 8-bit form has the counts of its float form."""
    found = {}
    for line in _lines("networks.csv"):
        counts: dict[str, Any] = {name: int(line[name]) for name in _COUNTS}
        found[line["model"], line["input"]] = Features(name=line["model"], input=line["input"], **counts)
    return found


@functools.cache
def published_temperatures() -> tuple[HeatSeries, ...]:
    """Every published run of a board, in the order of the file."""
    runs: dict[str, list[dict[str, str]]] = {}
    for line in _lines("temperatures.csv"):
        runs.setdefault(line["series"], []).append(line)
    return tuple(_series(name, lines) for name, lines in runs.items())


def _series(name: str, lines: list[dict[str, str]]) -> HeatSeries:
    first = lines[0]
    samples = tuple(
        HeatSample(
            seconds=float(line["seconds"]),
            busy=float(line["busy"]),
            celsius=float(line["celsius"]),
            watts=float(line["watts"]) if line["watts"] else None,
        )
        for line in lines
    )
    return HeatSeries(
        name=name,
        board=first["board"],
        cooling=first["cooling"] or None,
        idle_watts=float(first["idle_watts"]),
        full_watts=float(first["full_watts"]),
        source=first["source"],
        samples=samples,
    )


def _row(line: dict[str, str], texts: dict[str, str]) -> Row:
    def number(name: str) -> float | None:
        return float(line[name]) if line[name] else None

    return Row(
        chip=line["chip"],
        model=line["model"],
        input=line["input"],
        runtime=line["runtime"],
        device=line["device"],
        precision=line["precision"],
        threads=int(line["threads"]) if line["threads"] else None,
        latency_ms=number("latency_ms"),
        fps=number("fps"),
        tokens_s=number("tokens_s"),
        watts=number("watts"),
        ghz=number("ghz"),
        version=line["version"],
        date=line["date"],
        conditions=texts[line["conditions"]] if line["conditions"] else "",
        flags=line["flags"],
        source=texts[line["source"]],
        macs_m=number("macs_m"),
        params_m=number("params_m"),
    )


def _lines(name: str) -> Iterator[dict[str, str]]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return iter(csv.DictReader(text.splitlines()))
