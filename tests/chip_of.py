"""Chips made by hand, so that tests of the models do not move with the catalogue."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shoestring.domain.chip import Chip, Cluster, Cooling, FanStep, Figure, Power, ThrottleStep


def figure(value: float, unit: str = "", status: str = "measured") -> Figure:
    return Figure(value, unit, "a test", "2026-01-01", status)


def cooling(kind: str = "bare", resistance: float = 12.0, *, steps: tuple[tuple[float, float], ...] = ()) -> Cooling:
    made = tuple(FanStep(figure(on, "C"), figure(value, "K/W")) for on, value in steps)
    return Cooling(kind, figure(resistance, "K/W"), figure(150, "s"), figure(6, "s"), figure(0.35, ""), made)


def chip(**changes: Any) -> Chip:
    """A board like a Raspberry Pi 4: four cores, 2 to 6 W, 12 K/W bare, throttled at 80 C."""
    plain = Chip(
        name="test-board",
        title="Test board",
        kind="board",
        soc="TEST1",
        rows=(),
        host=(),
        isa=("asimd",),
        isa_source=None,
        clusters=(Cluster("Cortex-A72", 4, figure(1.5, "GHz")),),
        memory=figure(4e9, "bytes"),
        usable=figure(3e9, "bytes"),
        bandwidth=figure(2.5, "GB/s"),
        peaks=(),
        precisions=(),
        accelerators=(),
        runtimes=(),
        power=Power(figure(2, "W"), figure(6, "W")),
        coolings=(cooling(),),
        throttle=(ThrottleStep(figure(80, "C"), figure(0.4, "")),),
        ambient_low=figure(0, "C"),
        ambient_high=figure(50, "C"),
        price=figure(55, "USD"),
        hourly=None,
        notes=(),
    )
    return replace(plain, **changes)
