"""Rows of the table as points to fit: what a network takes, and the time it took."""

from __future__ import annotations

import csv
import functools
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from shoestring.domain.features import TERMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shoestring.domain.features import Features
    from shoestring.domain.measured import Row

MOST_MACS_M = 1e6
"""A trillion MACs for one picture is a slip of the source's unit, not a network for a cheap chip."""


@dataclass(frozen=True)
class Point:
    """One measurement with its counts.

    Args:
        model: the network, whatever its input size and precision: it is left out as a whole.
        chip: name in the table.
        macs: of one example.
        params: learnt numbers.
        ms: for one example; of an engine that streams, the time between two of them.
        source: of the row.
    """

    model: str
    chip: str
    macs: float
    params: float
    ms: float
    source: str


def points(rows: Iterable[Row], streaming: bool) -> tuple[Point, ...]:
    """Rows whose network's counts are known, from the row itself or from `known_networks.csv`.

    Args:
        rows: of one engine.
        streaming: take the time between two streamed examples instead of the latency.
    """
    found = []
    for row in rows:
        ms = _time(row, streaming)
        counts = _counts(row)
        if ms is not None and counts is not None:
            found.append(Point(network(row.model), row.chip, counts[0] * 1e6, counts[1] * 1e6, ms, row.source))
    return tuple(found)


def network(model: str) -> str:
    """The network behind a row's model name: without sizes, precisions and the habits of spelling."""
    text = re.sub(r"[^a-z0-9.]+", " ", model.lower())
    dropped = {
        "quant",
        "int8",
        "uint8",
        "fp16",
        "fp32",
        "tflite",
        "float",
        "coco",
        "for",
        "edgetpu",
        "1.0",
        "postprocess",
    }
    words = [word for word in text.split() if word not in dropped and not re.fullmatch(r"\d{3,4}(x\d{3,4})?", word)]
    return " ".join(words).replace("mobile net", "mobilenet")


def _time(row: Row, streaming: bool) -> float | None:
    if streaming:
        return 1000 / row.fps if row.fps else None
    return row.latency_ms or None


def _counts(row: Row) -> tuple[float, float] | None:
    """Millions of MACs and of parameters."""
    macs = row.macs_m if row.macs_m is not None and 0 < row.macs_m < MOST_MACS_M else None
    if macs is not None and row.params_m:
        return macs, row.params_m
    known = known_networks().get((network(row.model), row.input.split("x")[0]))
    return known or known_networks().get((network(row.model), ""))


@functools.cache
def known_networks() -> dict[tuple[str, str], tuple[float, float]]:
    """(network, input side or empty) -> millions of MACs and parameters, from the papers that the file names."""
    text = resources.files(__package__).joinpath("known_networks.csv").read_text(encoding="utf-8")
    return {
        (line["network"], line["side"]): (float(line["macs_m"]), float(line["params_m"]))
        for line in csv.DictReader(text.splitlines())
    }


def terms_of(features: Features) -> tuple[float, ...]:
    """Counts that a GPU's time is fitted to: each kind of MACs in 1e9, what moves in 1e6, layers in hundreds."""
    macs = [getattr(features, term) / 1e9 for term in TERMS]
    return (*macs, features.params / 1e6, features.act_elems / 1e6, features.layers / 100)
