"""Where costs come from: this machine, or the plan for another chip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.fitting.language import costs

if TYPE_CHECKING:
    from shoestring.domain.budget import Budget
    from shoestring.domain.cost import Cost
    from shoestring.fitting.language.bench import Bench, Written

THIS_MACHINE = "this-machine"


@dataclass(frozen=True)
class Place:
    """What costs are for.

    Args:
        chip: THIS_MACHINE, or a name of the catalogue.
        chip_file: of the user's own.
    """

    chip: str = THIS_MACHINE
    chip_file: Path | str | None = None


@dataclass(frozen=True)
class Priced:
    """Costs of all candidates.

    Args:
        costs: by name.
        measurement: how they came about, for the evidence.
        notes: for the user.
    """

    costs: Mapping[str, Cost]
    measurement: str
    notes: tuple[str, ...]


def price(bench: Bench, written: Sequence[Written], budget: Budget, place: Place) -> Priced:
    """Costs of all candidates.

    Raises:
        UsageError: an unknown chip, or a chip file for this machine.
        EngineFaultError: a candidate cannot be run here.
    """
    if place.chip != THIS_MACHINE:
        raise UsageError(f"costs on {place.chip} are not known", hint="leave out --chip: costs are measured here")
    if place.chip_file is not None:
        raise UsageError(f"a chip file says nothing about {THIS_MACHINE}", hint="name the chip with --chip")
    found = costs.measure_all(bench, written, budget)
    threads = costs.thread_counts(bench.machine.cores, budget)
    return Priced(found, costs.describe(len(written), threads), ())
