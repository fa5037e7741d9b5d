"""Which sensors sit where the work is done, and which only look like it.

Sources: Linux, Documentation/ABI/testing/sysfs-class-thermal, Documentation/hwmon/{sysfs-interface,coretemp}.rst;
NVIDIA Jetson Linux developer guide, "Thermal Management"; google/gasket-driver, apex_driver.c (`temp`, millidegrees).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from shoestring.device.sensors.source import Source, folders, milli_of, word_of
from shoestring.device.sensors.sysfs import PROCESSOR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ON_THE_DIE = (*PROCESSOR, "gpu", "tj-", "soctherm")
"""Words in the names of zones on the processor's own silicon. `tj-thermal` is the hottest of a Jetson Orin."""

CONSTANT = ("pmic-die", "pmic_die")
"""Zones that say one number whatever happens: a Jetson Nano's and TX2's PMIC-Die says 100 C for ever, because the power
chip tells only whether it is above a threshold (NVIDIA forum 44422; balena-os/balena-jetson issue 142)."""


def heat_sources(root: Path) -> tuple[Source, ...]:
    """Every sensor of the processor or, where none is named after it, every sensor but the constant ones.

    Left out are a sensor's second faces: the hwmon device that the kernel makes of each thermal zone, and the cores
    of a processor whose package speaks for all of them.
    """
    zones = [(word_of(zone / "type"), zone / "temp") for zone in folders(root / "sys/class/thermal", "thermal_zone*")]
    zones = [(name, path) for name, path in zones if name.lower() not in CONSTANT and path.exists()]
    faces = {name.replace("-", "_") for name, _ in zones}
    chips = [
        found for chip in folders(root / "sys/class/hwmon", "hwmon*") if word_of(chip / "name") not in faces
        for found in _of_chip(chip)
    ]  # fmt: skip
    named = [one for one in zones if any(word in one[0].lower() for word in ON_THE_DIE)]
    named += [one for one in chips if any(word in one[0].lower() for word in PROCESSOR)]
    beside = [(f"tpu {chip.name}", chip / "temp") for chip in folders(root / "sys/class/apex", "apex_*")]
    return tuple(
        Source("celsius", f"{path.parent.name}/{path.name} {name}".strip(), partial(milli_of, path))
        for name, path in [*(named or [*zones, *chips]), *beside]
    )


def _of_chip(chip: Path) -> Sequence[tuple[str, Path]]:
    """Names and files of one hwmon device."""
    name = word_of(chip / "name")
    found = [
        (f"{name} {word_of(path.with_name(path.name.replace('_input', '_label')))}".strip(), path)
        for path in folders(chip, "temp*_input")
    ]
    whole = [one for one in found if "package id" in one[0].lower()]
    return whole or found


__all__ = ["CONSTANT", "heat_sources"]
