"""A chip of measured figures, and its TOML text."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from shoestring._version import __version__
from shoestring.base import canonical
from shoestring.domain.chip import Chip, Cluster, Fact, Figure, Peak, Power, Precision, RuntimeSupport
from shoestring.domain.cost import Machine
from shoestring.domain.measured import Row
from shoestring.probing.peaks import Speed

WORTH = 1.05
"""A precision that brings less than this speed-up is not worth its loss."""
PEAKS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Look:
    """What was read of a machine beside its speed.

    Args:
        cores: kind of each core, in the order of their numbers.
        allowed_ghz: highest clock of each core as the kernel says, or None.
        available_bytes: memory that nothing has taken.
        idle_watts, load_watts: of the board, or None.
        heat: what the sensors said, in words, or None.
    """

    cores: tuple[str, ...]
    allowed_ghz: tuple[float | None, ...]
    available_bytes: int
    idle_watts: float | None
    load_watts: float | None
    heat: str | None


def describe_chip(
    name: str, machine: Machine, look: Look, speeds: Sequence[Speed], rows: Sequence[Row], date: str
) -> Chip:
    """The chip as it was measured; what nobody measured is absent.

    Args:
        name: of the chip and of its rows.
        machine: that was measured.
        look: at its system.
        speeds: of `measure_peaks`.
        rows: of the suite.
        date: ISO day.
    """
    source = f"shoestring probe {__version__} on {machine.name}"

    def figure(value: float, unit: str, note: str | None = None) -> Figure:
        return Figure(round(value, 4), unit, source, date, "measured", note)

    def fact(value: str) -> Fact:
        return Fact(value, source, date, "measured")

    best = {kind: _best(speeds, kind) for kind in ("copy", *PEAKS)}
    copy = best["copy"]
    power = None
    if look.idle_watts is not None and look.load_watts is not None and look.idle_watts < look.load_watts:
        note = "the board's own sensor on its input rail"
        power = Power(figure(look.idle_watts, "W", note), figure(look.load_watts, "W", note))
    runtimes = dict.fromkeys((row.runtime, row.version) for row in rows)
    return Chip(
        name=name,
        title=f"{machine.name}, measured",
        kind="board",
        soc=machine.name,
        rows=(name,) if rows else (),
        host=(),
        isa=machine.isa,
        isa_source=fact("read from /proc/cpuinfo"),
        clusters=_clusters(look, clock_ghz(speeds), figure),
        memory=figure(machine.memory_bytes, "bytes"),
        usable=figure(min(look.available_bytes, machine.memory_bytes - 1), "bytes", "free when it was measured"),
        bandwidth=None if copy is None else figure(copy.rate / 1e9, "GB/s", _how(copy)),
        peaks=tuple(
            Peak("cpu", kind, figure(one.rate / 1e9, "Gop/s", _how(one)))
            for kind in PEAKS
            if (one := best[kind]) is not None
        ),
        precisions=_precisions(rows, fact),
        accelerators=(),
        runtimes=tuple(
            RuntimeSupport(runtime, "cpu", "export" if runtime == "native" else "wheel", fact(f"{runtime} {version}"))
            for runtime, version in runtimes
        ),
        power=power,
        coolings=(),
        throttle=(),
        ambient_low=None,
        ambient_high=None,
        price=None,
        hourly=None,
        notes=() if look.heat is None else (fact(look.heat),),
    )


def _how(speed: Speed) -> str:
    return f"{f'{speed.threads} thread(s), ' if speed.threads else ''}{speed.method}"


def _best(speeds: Sequence[Speed], kind: str) -> Speed | None:
    return max((one for one in speeds if one.kind == kind), key=lambda one: one.rate, default=None)


def clock_ghz(speeds: Sequence[Speed]) -> float | None:
    """The measured clock of one core, or None: the best of all thread counts, since others may have used the cores."""
    return max((one.rate / 1e9 / one.threads for one in speeds if one.kind == "cycles"), default=None)


def _clusters(look: Look, measured: float | None, figure: Any) -> tuple[Cluster, ...]:
    """Equal cores together. The clock is the kernel's limit, or measured where the kernel says none."""
    kinds = Counter(zip(look.cores, look.allowed_ghz, strict=True))
    clusters = []
    for (core, allowed), count in kinds.items():
        clock = allowed or measured
        if clock is not None:
            note = "highest clock that the kernel allows" if allowed else "measured: a chain of sums, one a cycle"
            clusters.append(Cluster(core, count, figure(clock, "GHz", note)))
    return tuple(clusters)


def _precisions(rows: Sequence[Row], fact: Any) -> tuple[Precision, ...]:
    """Whether int8 is faster than fp32 on the suite, by the runtime where it gains most."""
    found: dict[str, list[float]] = {}
    float_ms = {(r.model, r.runtime, r.threads): r.latency_ms for r in rows if r.precision == "fp32"}
    for row in rows:
        other = float_ms.get((row.model, row.runtime, row.threads))
        if row.precision == "int8" and other and row.latency_ms:
            found.setdefault(row.runtime, []).append(other / row.latency_ms)
    if not found:
        return ()
    gains = {runtime: median(ratios) for runtime, ratios in found.items()}
    words = ", ".join(f"{gain:.2f}x on {runtime}" for runtime, gain in gains.items())
    why = fact(f"median speed-up over fp32 on the networks of the probe: {words}")
    return (Precision("int8", "cpu", max(gains.values()) >= WORTH, why),)


def chip_text(chip: Chip) -> str:
    """The chip as TOML, in the catalogue's form; absent things are left out."""
    table = {key: value for key, value in canonical.plain(chip).items() if value not in (None, [], ())}
    scalars = [f"{key} = {_value(value)}" for key, value in table.items() if not _nested(value)]
    lines = ["# Written by `shoestring probe`.", *scalars]
    lines += [f"{key} = {_value(value)}" for key, value in table.items() if isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, list) and _nested(value):
            for one in value:
                lines += ["", f"[[{key}]]", *(f"{k} = {_value(v)}" for k, v in one.items() if v not in (None, []))]
    return "\n".join(lines) + "\n"


def _nested(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict) for one in value))


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items() if v not in (None, [])) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    if isinstance(value, str):  # JSON's escapes are TOML's, but for the one character that JSON leaves as it is
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def chip_name(text: str) -> str:
    """A name that a chip file may have: `Raspberry Pi 4 (Cortex-A72)` -> `raspberry-pi-4-cortex-a72`."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:64].rstrip("-.") or "this-machine"


__all__ = ["Look", "chip_name", "chip_text", "describe_chip"]
