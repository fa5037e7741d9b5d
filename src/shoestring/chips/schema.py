"""What a chip file must keep to. Everything is checked once, when the file is read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from typing import NoReturn

from shoestring.base.errors import UsageError
from shoestring.chips.host import ARM_ISA, X86_ISA
from shoestring.domain.chip import COOLINGS, ENGINES, KINDS, PRECISIONS, STATUSES, Chip, Cooling, Fact, Figure

UNITS = {
    "clusters.clock": "GHz",
    "memory": "bytes",
    "usable": "bytes",
    "bandwidth": "GB/s",
    "peaks.rate": "Gop/s",
    "accelerators.on_chip": "bytes",
    "accelerators.link": "GB/s",
    "power.idle": "W",
    "power.load": "W",
    "coolings.resistance": "K/W",
    "coolings.slow": "s",
    "coolings.fast": "s",
    "coolings.fast_share": "1",
    "coolings.steps.on": "C",
    "coolings.steps.resistance": "K/W",
    "throttle.at": "C",
    "throttle.clock": "1",
    "ambient_low": "C",
    "ambient_high": "C",
    "price": "USD",
    "hourly": "USD/h",
}
"""Where a figure stands -> its unit; `1` is a share of the whole."""

HOWS = ("wheel", "build", "image", "export", "none")
ISA = frozenset((*X86_ISA.values(), *ARM_ISA.values()))
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
COLDEST, HOTTEST = -273.15, 200.0
"""Degrees Celsius: outside them a figure is a slip of the pen."""


def check_chip(chip: Chip, where: str) -> None:
    """Refuse a chip that breaks a rule.

    Args:
        chip: as read.
        where: file name, for the message.

    Raises:
        UsageError: names the file, the key, the value and the limit.
    """
    if not NAME.fullmatch(chip.name):
        _refuse(where, "name", chip.name, "lower-case letters, digits, `.` and `-`, at most 64")
    for key in ("title", "soc"):
        if not getattr(chip, key).strip():
            _refuse(where, key, "", "some words")
    for path, found in walk(chip):
        _check_stated(where, path, found)
    _check_words(chip, where)
    _check_once(where, "peaks", [f"{one.engine} {one.precision}" for one in chip.peaks])
    _check_once(where, "precisions", [f"{one.engine} {one.precision}" for one in chip.precisions])
    _check_once(where, "coolings", [one.kind for one in chip.coolings])
    _check_once(where, "rows", chip.rows)
    _check_pairs(chip, where)
    for i, cooling in enumerate(chip.coolings):
        _check_cooling(cooling, where, f"coolings.{i}")
    _check_throttle(chip, where)
    if chip.kind == "accelerator" and not chip.host:
        _refuse(where, "host", "nothing", "an accelerator names the chips it can hang on")
    if chip.kind == "board" and not (chip.clusters and chip.memory):
        _refuse(where, "clusters and memory", "nothing", "a board names both")


def walk(chip: Chip) -> Iterator[tuple[str, Figure | Fact]]:
    """Every figure and fact with where it stands: `clusters.0.clock`."""
    yield from _walk(chip, "")


def _walk(value: object, path: str) -> Iterator[tuple[str, Figure | Fact]]:
    if isinstance(value, (Figure, Fact)):
        yield path, value
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from _walk(item, f"{path}.{i}")
    elif is_dataclass(value):
        for field in fields(value):
            yield from _walk(getattr(value, field.name), f"{path}.{field.name}".lstrip("."))


def _check_stated(where: str, path: str, found: Figure | Fact) -> None:
    if not found.source.strip():
        _refuse(where, f"{path}.source", "", "where it comes from")
    if found.status not in STATUSES:
        _refuse(where, f"{path}.status", found.status, f"one of {', '.join(STATUSES)}")
    if not _is_day(found.date):
        _refuse(where, f"{path}.date", found.date, "a day as 2026-11-23")
    if isinstance(found, Fact):
        if not found.value.strip():
            _refuse(where, f"{path}.value", "", "some words")
        return
    place = re.sub(r"\.\d+", "", path)
    unit = UNITS[place]
    if found.unit != unit:
        _refuse(where, f"{path}.unit", found.unit, f"it is counted in {unit!r}")
    low, high = _limits(unit, place)
    if not (math.isfinite(found.value) and low <= found.value <= high and (low != 0 or found.value > 0)):
        _refuse(where, f"{path}.value", f"{found.value:g}", _span(low, high, unit))


def _limits(unit: str, place: str) -> tuple[float, float]:
    """Lowest and highest value; a lowest of zero is itself refused."""
    if unit == "C":
        return COLDEST, HOTTEST
    return (0, 1) if unit == "1" else (0, math.inf)


def _span(low: float, high: float, unit: str) -> str:
    if low != 0:
        return f"{low:g} to {high:g} {unit}"
    return "above 0" if high == math.inf else f"above 0, at most {high:g}"


def _check_words(chip: Chip, where: str) -> None:
    _check_in(where, "kind", chip.kind, KINDS)
    for i, name in enumerate(chip.isa):
        _check_in(where, f"isa.{i}", name, sorted(ISA))
    if chip.isa and chip.isa_source is None:
        _refuse(where, "isa_source", "nothing", "where the instruction sets come from")
    for i, cluster in enumerate(chip.clusters):
        if not 1 <= cluster.count <= 1024:
            _refuse(where, f"clusters.{i}.count", str(cluster.count), "1 to 1024")
    for key in ("peaks", "precisions", "accelerators", "runtimes"):
        for i, one in enumerate(getattr(chip, key)):
            _check_in(where, f"{key}.{i}.engine", one.engine, ENGINES)
            if hasattr(one, "precision"):
                _check_in(where, f"{key}.{i}.precision", one.precision, PRECISIONS)
    for i, runtime in enumerate(chip.runtimes):
        _check_in(where, f"runtimes.{i}.how", runtime.how, HOWS)


def _check_in(where: str, key: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        _refuse(where, key, value, f"one of {', '.join(allowed)}")


def _check_once(where: str, key: str, names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        if name in names[:i]:
            _refuse(where, f"{key}.{i}", name, "each stands there once")


def _check_pairs(chip: Chip, where: str) -> None:
    """Two figures of which one bounds the other."""
    pairs = [("usable", chip.usable, "memory", chip.memory), ("ambient_low", chip.ambient_low, "ambient_high", None)]
    pairs[1] = (*pairs[1][:3], chip.ambient_high)
    if chip.power is not None:
        pairs.append(("power.idle", chip.power.idle, "power.load", chip.power.load))
    for low_key, low, high_key, high in pairs:
        if low is not None and high is not None and not low.value < high.value:
            _refuse(where, low_key, f"{low.value:g}", f"below {high_key}, which is {high.value:g}")


def _check_cooling(cooling: Cooling, where: str, path: str) -> None:
    _check_in(where, f"{path}.kind", cooling.kind, COOLINGS)
    if not cooling.fast.value < cooling.slow.value:
        _refuse(where, f"{path}.fast", f"{cooling.fast.value:g}", f"below slow, which is {cooling.slow.value:g}")
    if cooling.steps and cooling.kind != "fan":
        _refuse(where, f"{path}.steps", cooling.kind, "only a fan has steps")
    on, resistance = -math.inf, cooling.resistance.value
    for i, step in enumerate(cooling.steps):
        if not step.on.value > on:
            _refuse(where, f"{path}.steps.{i}.on", f"{step.on.value:g}", f"above the step before, {on:g}")
        if step.resistance.value > resistance:
            key = f"{path}.steps.{i}.resistance"
            _refuse(where, key, f"{step.resistance.value:g}", f"a faster fan cools more: at most {resistance:g}")
        on, resistance = step.on.value, step.resistance.value


def _check_throttle(chip: Chip, where: str) -> None:
    at, clock = -math.inf, 1.0
    for i, step in enumerate(chip.throttle):
        if not step.at.value > at:
            _refuse(where, f"throttle.{i}.at", f"{step.at.value:g}", f"above the step before, {at:g}")
        if step.clock.value > clock:
            _refuse(where, f"throttle.{i}.clock", f"{step.clock.value:g}", f"hotter is slower: at most {clock:g}")
        at, clock = step.at.value, step.clock.value


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _refuse(where: str, key: str, value: str, limit: str) -> NoReturn:
    raise UsageError(f"{where}: {key} is {value!r}; {limit}", hint="docs/chips.md says how to write a chip file")


__all__ = ["HOWS", "ISA", "UNITS", "check_chip", "walk"]
