"""Processor cores of the chips that the table of measurements names, for those without a catalogue file too."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Core:
    """What decides a core's speed.

    Args:
        name: as the maker names it: `Cortex-A72`.
        isa: class of instruction sets: `armv7`, `armv8.0`, `armv8.2`, `riscv`, `riscv-v`, `x86-sse`, `x86-avx2`.
        fp32: operations a cycle, two a multiply-accumulate.
        fp16: the same in fp16, None where it has no such arithmetic.
        int8: the same in int8.
        out_of_order: whether it reorders instructions.
    """

    name: str
    isa: str
    fp32: float
    fp16: float | None
    int8: float
    out_of_order: bool


@dataclass(frozen=True)
class Cores:
    """Equal cores of a chip. Args: core: its name; count: of them; ghz: clock."""

    core: str
    count: int
    ghz: float


@functools.cache
def published_cores() -> dict[str, Core]:
    """Every known core by its name."""
    return {
        line["core"]: Core(
            name=line["core"],
            isa=line["isa"],
            fp32=float(line["fp32_ops_cycle"]),
            fp16=float(line["fp16_ops_cycle"]) if line["fp16_ops_cycle"] else None,
            int8=float(line["int8_ops_cycle"]),
            out_of_order=line["out_of_order"] == "1",
        )
        for line in _lines("cores.csv")
    }


@functools.cache
def table_chips() -> dict[str, tuple[Cores, ...]]:
    """Clusters of each chip of the table, the fastest first."""
    found = {}
    for line in _lines("table_chips.csv"):
        clusters = [Cores(line["core"], int(line["count"]), float(line["ghz"]))]
        if line["little_core"]:
            clusters.append(Cores(line["little_core"], int(line["little_count"]), float(line["little_ghz"])))
        found[line["chip"]] = tuple(clusters)
    return found


def _lines(name: str) -> list[dict[str, str]]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
