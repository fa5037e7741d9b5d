"""Costs on a board that a meter reaches: measured there, while scores and certificates are made here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.compress.candidates import REFERENCE
from shoestring.costmodel.measure import Measured
from shoestring.domain.cost import Cost
from shoestring.domain.ladder import HOME_RUNTIME
from shoestring.fitting.candidates import runtime_versions, seconds_each
from shoestring.fitting.sources import sources_digest
from shoestring.fitting.workbench import MAX_THREADS, Aim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.costmodel.meter import Meter
    from shoestring.domain.budget import Budget
    from shoestring.fitting.candidates import Artefact
    from shoestring.fitting.workbench import Workbench


def aim_at(meter: Meter) -> Aim:
    """What the workbench must know of the board. Raises UsageError: it cannot run the original."""
    if HOME_RUNTIME not in meter.versions:
        raise UsageError(
            f"{meter.place} has no {HOME_RUNTIME}, which runs the original",
            hint=f"install it there: pip install {HOME_RUNTIME}; or name another interpreter with --python PATH",
        )
    machine = meter.machine
    return Aim(meter.place, machine.isa, machine.arch, machine.cores, tuple(meter.versions), machine)


def thread_counts(aim: Aim, budget: Budget) -> tuple[int, ...]:
    """One thread, all of the board's cores, half of them, and the budget's."""
    cores = min(aim.cores, MAX_THREADS)
    return tuple(sorted({1, (cores + 1) // 2, cores, budget.threads or 1}))


def measure_all(meter: Meter, bench: Workbench, made: Mapping[str, Artefact], budget: Budget) -> dict[str, Cost]:
    """Cost of what a bundle would ship of every artefact, measured there side by side; kept.

    Raises:
        ShoestringError: as `Meter.measure`.
    """
    threads, seconds = thread_counts(aim_at(meter), budget), seconds_each(len(made))
    shipped = {name: one.shipped for name, one in made.items()}
    question = {
        "artefacts": {name: one.sha256 for name, one in shipped.items()},
        "place": meter.place,
        "machine": meter.machine,
        "threads": threads,
        "seconds": seconds,
        "runtimes": dict(meter.versions),
        "costmodel": sources_digest("costmodel"),
    }

    def compute() -> dict[str, Cost]:
        return meter.measure(
            [Measured(name, one.path, one.runtime, one.size_bytes) for name, one in shipped.items()],
            REFERENCE,
            threads,
            seconds_each=seconds,
            progress=lambda words: bench.progress(f"measuring on {meter.place}: {words}", 0, 0),
        )

    return bench.cache.noun("costs", question, dict[str, Cost], compute)


def warnings(meter: Meter, bench: Workbench, made: Mapping[str, Artefact]) -> tuple[str, ...]:
    """What the user must know of a fit whose costs come from another machine than its scores."""
    there, here = (", ".join(one.isa) or "no special instruction sets" for one in (meter.machine, bench.machine))
    others = tuple(
        f"{name} is {meter.versions[name]} on {meter.place} and {version} here, which scored and certified; the golden "
        "set decides there"
        for name, version in runtime_versions(made).items()
        if meter.versions.get(name, version) != version
    )
    return (
        f"costs were measured on {meter.place}: {meter.machine.name} ({there})",
        f"scores and certificates were checked on this machine ({here}), which each certificate names; the device "
        "replays the golden set before it trusts the bundle",
        "no cascade was looked for: its stages would be timed on this machine",
        *others,
    )


def describe(aim: Aim, how: str) -> str:
    """How costs came about, for the evidence."""
    return f"Costs were measured on {aim.chip}, scores on the machine of this fit. On {aim.chip}: {how}"


__all__ = ["aim_at", "describe", "measure_all", "thread_counts", "warnings"]
