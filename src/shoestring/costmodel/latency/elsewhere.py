"""A network that is slow for reasons that no term sees is slow on every chip: what its errors elsewhere say here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shoestring.costmodel.latency.observations import Setting

ORDER = ("core", "isa", "arm", "x86", "other")
"""Relations of two chips, the nearest first."""
TRUST = {"core": 4.0, "isa": 2.0, "arm": 0.7, "x86": 0.4, "other": 0.2}
"""Weight of a row by its relation; the other weights are relative to these."""
SAME_THREADS = 2.0
SAME_CHIP = 8.0
DOUBT = 2.0
"""Weight of the guess that the network errs nowhere."""


def related(core: str, isa: str, other_core: str, other_isa: str) -> str:
    """How near two chips are, by their cores and classes of instruction sets."""
    if core == other_core:
        return "core"
    if isa == other_isa:
        return "isa"
    arms = (isa.startswith("arm"), other_isa.startswith("arm"))
    if all(arms):
        return "arm"
    return "x86" if "x86" in f"{isa}{other_isa}" and any(arms) else "other"


def expected_error(here: Setting, errors: Iterable[tuple[Setting, float]]) -> float:
    """Weighted mean of a network's errors in other settings, drawn to 0 when they are few or far.

    Args:
        here: the setting to predict.
        errors: settings with measured less predicted logarithms.
    """
    total, weight = 0.0, DOUBT
    for there, error in errors:
        trust = TRUST[related(here.core, here.isa, there.core, there.isa)]
        if there.chip == here.chip:
            trust = SAME_CHIP
        if there.threads == here.threads:
            trust *= SAME_THREADS
        total += trust * error
        weight += trust
    return total / weight
