"""Errors on rows that the model did not see, shipped as data: what the intervals are calibrated on."""

from __future__ import annotations

import csv
import functools
import io
from dataclasses import astuple, dataclass, fields
from importlib import resources
from typing import TYPE_CHECKING

from shoestring.base import disk

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One row predicted without having been seen.

    Args:
        ground: `measured`, `calibrated`, `anchored`, `specifications` or `transfer`.
        kind: `fp` or `int8`.
        relation: of a transfer: `table` (from all chips of the table that know the network), or from one: `core`,
            `isa`, `arm`, `x86` or `other`; of a calibrated chip: `run` where the row's own run was known; else empty.
        network: base name, which was left out everywhere.
        chip: in the table.
        novelty: of the network among the others.
        log_ms: natural logarithm of what was measured.
        predicted: natural logarithm of what was predicted.
        source: of a transfer: natural logarithm of the source chip's own error; else 0.
    """

    ground: str
    kind: str
    relation: str
    network: str
    chip: str
    novelty: float
    log_ms: float
    predicted: float
    source: float = 0.0


@functools.cache
def published_cases() -> tuple[Case, ...]:
    """The shipped cases, written by `learn`."""
    text = resources.files(__package__).joinpath("cases.csv").read_text(encoding="utf-8")
    lines = csv.reader(text.splitlines()[1:])
    return tuple(Case(*_words(line), *map(float, line[5:])) for line in lines)


def _words(line: list[str]) -> tuple[str, str, str, str, str]:
    ground, kind, relation, network, chip = line[:5]
    return ground, kind, relation, network, chip


@functools.cache
def published_weights() -> dict[str, float]:
    """The shipped weights of all levels, written by `learn`."""
    text = resources.files(__package__).joinpath("weights.csv").read_text(encoding="utf-8")
    return {name: float(value) for name, value in csv.reader(text.splitlines()[1:])}


def write(folder: Path, cases: Iterable[Case], weights: dict[str, float]) -> None:
    """Writes both files. Args: folder; cases; weights: by name."""
    rows = ([f"{x:.4f}" if isinstance(x, float) else x for x in astuple(case)] for case in cases)
    disk.write_text(folder / "cases.csv", _table([[field.name for field in fields(Case)], *rows]))
    values = ([name, f"{value:.4f}"] for name, value in sorted(weights.items()))
    disk.write_text(folder / "weights.csv", _table([["weight", "value"], *values]))


def _table(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
