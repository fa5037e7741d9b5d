"""Where costs come from: this machine, or the plan for another chip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.chips.loading import chip_named
from shoestring.chips.published import published_rows
from shoestring.costmodel.language.plan import cost_of, plan
from shoestring.costmodel.language.prefill import large_cores
from shoestring.domain.estimate import NoClaim
from shoestring.domain.language_plan import LanguageWish
from shoestring.fitting.language import costs
from shoestring.fitting.language.assemble import CACHE_TYPE
from shoestring.importers.weights import read_weights

if TYPE_CHECKING:
    from shoestring.domain.budget import Budget
    from shoestring.domain.chip import Chip
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

    def find(self) -> Chip | None:
        """The chip; None for this machine.

        Raises:
            UsageError: an unknown chip, or a chip file for this machine.
            DataError: the chip file cannot be used.
        """
        if self.chip != THIS_MACHINE:
            return chip_named(self.chip, None if self.chip_file is None else Path(self.chip_file))
        if self.chip_file is not None:
            raise UsageError(f"a chip file says nothing about {THIS_MACHINE}", hint="name the chip with --chip")
        return None


@dataclass(frozen=True)
class Priced:
    """Costs of the candidates that something is known of.

    Args:
        costs: by name.
        measurement: how they came about, for the evidence.
        notes: for the user.
    """

    costs: Mapping[str, Cost]
    measurement: str
    notes: tuple[str, ...]


def price(bench: Bench, written: Sequence[Written], budget: Budget, chip: Chip | None) -> Priced:
    """Costs of all candidates on this machine, or predicted for a chip.

    Raises:
        UsageError: nothing is claimed for the first candidate on the chip, or more threads than it has cores.
        EngineFaultError: a candidate cannot be run here.
    """
    if chip is None:
        found = costs.measure_all(bench, written, budget)
        threads = costs.thread_counts(bench.machine.cores, budget)
        return Priced(found, costs.describe(len(written), threads), ())
    predicted, notes = _predict(bench, written, budget, chip)
    told = (
        f"nothing was measured on {chip.name}: rates, memory and their intervals are the plan's, from the header of "
        "each file and from published measurements (docs/llm-planning.md)"
    )
    return Priced(predicted, told, notes)


def _predict(
    bench: Bench, written: Sequence[Written], budget: Budget, chip: Chip
) -> tuple[dict[str, Cost], tuple[str, ...]]:
    wish = LanguageWish(
        context=bench.context, cache=CACHE_TYPE.upper(), threads=budget.threads or max(1, large_cores(chip))
    )
    rows, net = published_rows(), bench.source.transformer
    plans, notes = {}, list[str]()
    for one in written:
        bench.progress(f"planning {one.name} for {chip.name}", 0, 0)
        header, _ = read_weights(one.path)
        plans[one.name] = plan(net, header, chip, name=bench.source.name, rows=rows, wish=wish)
    first = plans[written[0].name]
    notes += first.warnings
    found = {}
    for name, planned in plans.items():
        cost = cost_of(planned, None if planned is first else first)
        if isinstance(cost, NoClaim):
            notes.append(f"left out: {name}: nothing is claimed for {chip.name}: {cost.why}")
        else:
            found[name] = cost
    if not found:
        raise UsageError(
            f"nothing is claimed for {bench.source.name} on {chip.name}: {notes[-1]}",
            hint="measure on the board itself, or leave out --chip",
        )
    notes.append(f"rates and memory are estimates for {chip.name}; divergence was scored on this machine")
    return found, tuple(notes)
