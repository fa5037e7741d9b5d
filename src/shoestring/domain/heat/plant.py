"""From a chip file to a board with every constant settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.domain.heat.poles import Poles
from shoestring.domain.heat.simulate import Plant

if TYPE_CHECKING:
    from shoestring.domain.chip import Chip, Cooling

PREFERENCE = ("fan", "heatsink", "bare")
"""The best cooling first; what is assumed when none is named."""


def cooling_of(chip: Chip, kind: str | None) -> Cooling | None:
    """The cooling of that kind, or the best; None when the chip file describes none at all.

    Raises:
        UsageError: the chip file describes others.
    """
    kinds = {cooling.kind: cooling for cooling in chip.coolings}
    if not kinds:
        return None
    if kind is None:
        return next(kinds[name] for name in PREFERENCE if name in kinds)
    if kind not in kinds:
        raise UsageError(
            f"{chip.name} has no thermal model for cooling {kind!r}", hint=f"known for it: {', '.join(kinds)}"
        )
    return kinds[kind]


def plant_of(chip: Chip, cooling: Cooling, ambient_celsius: float) -> Plant:
    """The chip file's constants, as they stand. `chip.power` must be there."""
    assert chip.power is not None
    return Plant(
        poles=Poles(cooling.slow.value, cooling.fast.value, cooling.fast_share.value),
        resistance=cooling.resistance.value,
        fan=tuple((step.on.value, step.resistance.value) for step in cooling.steps),
        throttle=tuple((step.at.value, step.clock.value) for step in chip.throttle),
        idle_watts=chip.power.idle.value,
        load_watts=chip.power.load.value,
        ambient_celsius=ambient_celsius,
    )
