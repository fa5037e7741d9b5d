"""A board's long run, as words on the terminal and as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoestring.cli.planning_options import heat_points, words

if TYPE_CHECKING:
    from shoestring.costmodel.heat import Outlook
    from shoestring.domain.estimate import NoClaim


def heat_data(heat: Outlook | NoClaim | None) -> Any:
    """What --json holds of it."""
    from shoestring.domain.estimate import NoClaim

    if heat is None or isinstance(heat, NoClaim):
        return heat
    return {"sustained": heat.sustained, "curve": heat.curve, "low": heat.low, "high": heat.high}


def show_heat(heat: Outlook | NoClaim) -> None:
    """Print the curve and what the board keeps up."""
    from shoestring.domain.estimate import NoClaim
    from shoestring.report.heat_text import heat_text

    if isinstance(heat, NoClaim):
        print(f"heat: no claim: {heat.why}")
        return
    found = heat.sustained
    asked = "as fast as it can" if found.asked_rate is None else f"{found.asked_rate:g} a second asked for"
    when = "never" if found.throttles_after_s is None else f"after {found.throttles_after_s:.0f} s"
    print(f"\n{found.minutes:g} minutes, {found.cooling}, {found.ambient_celsius:g} C air, {asked}:")
    print(heat_text(heat_points(heat), ambient_celsius=found.ambient_celsius, limits=heat.limits))
    print(f"sustained    {words(found.rate, '')} a second")
    print(f"hottest      {words(found.peak_celsius, 'C')}")
    print(f"throttles    {when}")
    print(f"draws        {words(found.watts, 'W')}")
    if found.battery_hours is not None:
        print(f"battery      {words(found.battery_hours, 'hours')}")
    print(f"rests on     {'; '.join(found.rate.rests_on)}")


__all__ = ["heat_data", "show_heat"]
