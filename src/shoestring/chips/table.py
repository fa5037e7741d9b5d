"""A chip in words: one row of the catalogue's table, and every figure with its source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from shoestring.base.units import format_bytes
from shoestring.chips.schema import walk
from shoestring.domain.chip import Fact, Figure

if TYPE_CHECKING:
    from shoestring.domain.chip import Chip

COLUMNS = ("chip", "cores", "memory", "bandwidth", "price", "watts", "precisions worth it")
RIGHT = frozenset({2, 3, 4, 5})


def row(chip: Chip) -> tuple[str, ...]:
    """The chip as one row of COLUMNS; `-` where nothing is known."""
    return (
        chip.name,
        cores_words(chip) or "-",
        "-" if chip.memory is None else figure_words(chip.memory),
        "-" if chip.bandwidth is None else figure_words(chip.bandwidth),
        price_words(chip),
        "-" if chip.power is None else f"{chip.power.idle.value:g}-{chip.power.load.value:g}",
        worth_words(chip) or "-",
    )


def cores_words(chip: Chip) -> str:
    """`4 Cortex-A78 + 4 Cortex-A55`: clusters of the same core together."""
    counts: dict[str, int] = {}
    for cluster in chip.clusters:
        counts[cluster.core] = counts.get(cluster.core, 0) + cluster.count
    return " + ".join(f"{count} {core}" for core, count in counts.items())


def price_words(chip: Chip) -> str:
    """`$87.25 (2026-07)`, or by the hour of what is rented."""
    figure, per = (chip.price, "") if chip.price is not None else (chip.hourly, "/h")
    return "-" if figure is None else f"${figure.value:g}{per} ({figure.date[:7]})"


def worth_words(chip: Chip) -> str:
    """`int8 (npu), fp16 (cpu)`: what earns its keep."""
    return ", ".join(f"{one.precision} ({one.engine})" for one in chip.precisions if one.worth)


def figure_words(figure: Figure) -> str:
    """Value and unit; a share without one, bytes in larger units, whole powers of two as memory is sold."""
    if figure.unit == "bytes":
        for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if figure.value % size == 0 and figure.value / size < 10_000:
                return f"{figure.value / size:g} {unit}"
        return format_bytes(int(figure.value))
    return f"{figure.value:g}" if figure.unit == "1" else f"{figure.value:g} {figure.unit}"


def stated(chip: Chip) -> list[tuple[str, str, str, str, str]]:
    """Every figure and fact: what, value, status, date, source and note."""
    rows = []
    for path, found in walk(chip):
        words = figure_words(found) if isinstance(found, Figure) else found.value
        source = found.source if found.note is None else f"{found.source}; {found.note}"
        rows.append((_label(chip, path), words, found.status, found.date, source))
    return rows


def _label(chip: Chip, path: str) -> str:
    """`peaks.0.rate` -> `peaks int8 (npu)`: what a reader knows the item by, in the place of its number."""
    parts: list[str] = []
    value: object = chip
    for part in path.split("."):
        if isinstance(value, tuple):
            value = value[int(part)]
            parts.append(" ".join(_known_by(value)) or part)
        else:
            value = getattr(value, part)
            parts.append(part)
    drop = {"rate", "why", "what"}
    return " ".join(part for part in parts if part not in drop)


def _known_by(value: object) -> Iterator[str]:
    if isinstance(value, Fact | Figure):
        return
    names = {field.name for field in fields(value)}  # type: ignore[arg-type]
    for name in ("core", "runtime", "precision", "kind"):
        if name in names:
            yield str(vars(value)[name])
    if "engine" in names:
        yield f"({vars(value)['engine']})"


__all__ = ["COLUMNS", "RIGHT", "cores_words", "figure_words", "price_words", "row", "stated", "worth_words"]
