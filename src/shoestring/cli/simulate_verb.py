"""Run a bundle's ladder under the governor on a simulated board: heat, power and rungs over hours, in seconds.

The board is its chip file's thermal model with a virtual clock; its constants are published ones, right within a
quarter. Latencies are those of the bundle: a bundle made for the board has the board's, measured or predicted.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.cli.live_options import add_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.simulated.trial import Trial

EXAMPLE = "shoestring simulate camera.shoe --chip raspberry-pi-4b-4gb --cooling bare --ambient 35 --fps 15 --hours 24"
HOURS, AMBIENT, MOST_HOURS = 24.0, 25.0, 24.0 * 31
ROWS = 12


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rung", help="the only rung to run (default: the governor picks)")
    add_limits(parser)
    air = parser.add_argument_group("the air and the board")
    air.add_argument("--ambient", type=float, default=AMBIENT, metavar="C", help="mean over the day (default: 25)")
    air.add_argument("--swing", type=float, default=0.0, metavar="K", help="up by day and down by night (default: 0)")
    air.add_argument("--fan-fails-after", type=float, metavar="H", help="hours until the fan stops for good")
    air.add_argument("--seed", type=int, metavar="N", help="a board of the series, constants off by up to a quarter")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="temperature and clock over the time")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import UsageError
    from shoestring.bundle import open_bundle
    from shoestring.cli import console
    from shoestring.cli.live_options import asked_of
    from shoestring.device.governor.journal import Journal
    from shoestring.device.governor.model import board_model
    from shoestring.device.governor.policy import Policy
    from shoestring.device.live.asked import limits_of
    from shoestring.device.live.plans import plans_of
    from shoestring.device.live.running import chip_of
    from shoestring.device.simulated.board import SimulatedBoard, drawn
    from shoestring.device.simulated.faults import BoardFault
    from shoestring.device.simulated.trial import trial

    hours = HOURS if arguments.hours is None else arguments.hours
    if not 0 < hours <= MOST_HOURS:
        raise UsageError(f"--hours {hours:g} is outside (0, {MOST_HOURS:g}]", hint="24 show a day")
    with open_bundle(arguments.bundle) as bundle:
        chip = chip_of(bundle, arguments.chip, arguments.chip_file)
        ladder = bundle.manifest.ladder
    if chip is None:
        raise UsageError(
            "this bundle was made for no chip", hint="name the board with --chip; `shoestring chips` lists them"
        )
    asked = asked_of(arguments)
    plans = tuple(plan for plan in plans_of(ladder, chip) if plan.certified or asked.allow_degraded)
    policy = Policy(plans, limits_of(asked, plans, chip, None), board_model(chip, asked.cooling))
    fails = arguments.fan_fails_after
    board = SimulatedBoard(
        chip,
        _air(arguments.ambient, arguments.swing),
        cooling=asked.cooling,
        truth=None if arguments.seed is None else drawn(arguments.seed),
        faults=() if fails is None else (BoardFault("fan", 3600 * fails, math.inf),),
        battery_wh=asked.battery_wh,
        metered=True,
        seed=arguments.seed or 0,
    )
    begun = time.time()
    journal = None
    if arguments.decisions is not None:
        journal = Journal(arguments.decisions, policy, wall=lambda: begun + board.now_s)
    found = trial(
        policy,
        board,
        hours,
        lambda before, decision, readings, work: None
        if journal is None or not decision.moved
        else journal.moved(before, readings, work, decision),
    )
    if journal is not None:
        journal.stopped(board.now_s)
    if arguments.plot is not None:
        _plot(arguments.plot, found, arguments.ambient, [step.at.value for step in chip.throttle])
    if arguments.json:
        console.show_json(_data(found, chip.name))
        return 0
    _show(found, chip.title)
    return 0


def _air(mean: float, swing: float) -> Callable[[float], float]:
    """Coldest at the start, a period a day."""
    return lambda seconds: mean - swing * math.cos(2 * math.pi * seconds / 86400)


def _plot(path: Path, found: Trial, ambient: float, limits: list[float]) -> None:
    from shoestring.base import disk
    from shoestring.report.heat_plot import HeatPoint, heat_file

    points = [HeatPoint(m.seconds, m.celsius, m.celsius, m.celsius, m.clock) for m in found.moments]
    disk.write_text(path, heat_file(points, ambient_celsius=ambient, limits=limits))


def _data(found: Trial, chip: str) -> dict[str, object]:
    return {
        "chip": chip,
        "hours": found.hours,
        "answered": found.answered,
        "quality_times_examples": found.value,
        "shares": found.shares(),
        "moves": found.moves,
        "hottest_celsius": found.hottest.celsius,
        "limit_celsius": found.limit_celsius,
        "seconds_above_limit": found.above_s,
        "used_wh": found.used_wh,
        "battery_left_wh": found.moments[-1].battery_wh,
    }


def _show(found: Trial, title: str) -> None:
    from shoestring.cli import console

    size = max(1, math.ceil(len(found.moments) / ROWS))
    rows = []
    for first in range(0, len(found.moments), size):
        part = found.moments[first : first + size]
        counts: dict[str, int] = {}
        for moment in part:
            counts[moment.rung or "rest"] = counts.get(moment.rung or "rest", 0) + 1
        most = max(counts, key=counts.__getitem__)
        left = part[-1].battery_wh
        rows.append(
            (
                f"{part[0].seconds / 3600:.1f}-{part[-1].seconds / 3600:.1f} h",
                most + ("" if len(counts) == 1 else f" (and {len(counts) - 1} more)"),
                f"{sum(m.answered for m in part) / len(part):.1f}",
                f"{sum(m.celsius for m in part) / len(part):.1f}",
                f"{max(m.celsius for m in part):.1f}",
                f"{sum(m.watts for m in part) / len(part):.2f}",
                "" if left is None else f"{left:.2f} Wh",
            )
        )
    console.show_table(
        ("time", "rung", "examples/s", "mean C", "hottest C", "watts", "battery"),
        rows,
        right=frozenset({2, 3, 4, 5, 6}),
    )
    limit = found.limit_celsius
    above = "" if limit is None else f", {found.above_s} s above the limit of {limit:g} C"
    shares = ", ".join(f"{rung} {100 * share:.1f} %" for rung, share in found.shares().items())
    console.say(
        f"{title}, simulated: {found.hours:.1f} h, {found.answered} examples, {shares}; {found.moves} moves; "
        f"hottest {found.hottest.celsius:.1f} C{above}; {found.used_wh:.2f} Wh "
        f"({found.answered / found.used_wh:.0f} examples a Wh)"
    )
