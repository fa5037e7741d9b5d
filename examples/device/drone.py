"""A drone on a battery budget: how much good seeing a watt-hour buys, on a simulated board.

    python examples/device/drone.py people.shoe --chip raspberry-pi-5-8gb --wh 2 --minutes 25

Every rung alone, then the governor, each with the same energy for the same flight. Latencies are those in the bundle:
make it with `fit --chip` for the board that flies. The air is 25 C; a drone's own wind cools better than that says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from shoestring.bundle import open_bundle
from shoestring.chips.loading import chip_named
from shoestring.device.governor.model import board_model
from shoestring.device.governor.policy import Policy
from shoestring.device.live.asked import Asked, limits_of
from shoestring.device.live.plans import plans_of
from shoestring.device.simulated.board import SimulatedBoard
from shoestring.device.simulated.trial import Trial, trial
from shoestring.domain.chip import Chip
from shoestring.domain.ladder import Ladder


def fly(ladder: Ladder, chip: Chip, wh: float, minutes: float, rate: float | None, rung: str | None) -> Trial:
    """One flight.

    Args:
        ladder: of the bundle.
        chip: that flies.
        wh: for the whole board.
        minutes: that the energy must last.
        rate: frames a second that the camera gives; None takes as many as the board can.
        rung: the only one, or None for the governor's choice.
    """
    plans = tuple(plan for plan in plans_of(ladder, chip) if plan.certified)
    asked = Asked(rate=rate, battery_wh=wh, hours=minutes / 60, rung=rung)
    policy = Policy(plans, limits_of(asked, plans, chip, None), board_model(chip, None))
    board = SimulatedBoard(chip, lambda seconds: 25.0, battery_wh=wh, metered=True)
    return trial(policy, board, minutes / 60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--chip", default="raspberry-pi-5-8gb")
    parser.add_argument("--wh", type=float, default=2.0, help="energy for the board")
    parser.add_argument("--minutes", type=float, default=25.0, help="of the flight")
    parser.add_argument("--fps", type=float, help="of the camera")
    asked = parser.parse_args()
    chip = chip_named(asked.chip)
    with open_bundle(asked.bundle) as bundle:
        ladder = bundle.manifest.ladder
    names = [plan.name for plan in plans_of(ladder, chip) if plan.certified]
    print(f"{chip.title}, {asked.wh:g} Wh for {asked.minutes:g} minutes")
    print(
        f"{'rung':16} {'minutes':>7} {'frames':>7} {'Wh':>6} {'frames/Wh':>9} {'right frames/Wh':>15} {'hottest C':>9}"
    )
    for name in [*names, None]:
        found = fly(ladder, chip, asked.wh, asked.minutes, asked.fps, name)
        used = found.used_wh
        print(
            f"{name or 'the governor':16} {60 * found.hours:7.1f} {found.answered:7} {used:6.2f} "
            f"{found.answered / used:9.0f} {found.value / used:15.0f} {found.hottest.celsius:9.1f}"
        )


if __name__ == "__main__":
    main()
