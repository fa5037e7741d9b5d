"""Show what this board tells of its heat, power, clock and memory, and which of its sensors are not believed."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict

EXAMPLE = "shoestring sensors --watch 2"
SETTLE_S = 1.0
"""Between two looks: watts and the share of waiting tasks are means over the time between them."""


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", type=float, metavar="S", help="look again every so many seconds, until interrupted")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import UsageError
    from shoestring.cli import console
    from shoestring.device.sensors.real import RealSensors

    if arguments.watch is not None and not 0.1 <= arguments.watch <= 3600:
        raise UsageError(f"--watch {arguments.watch:g} is outside 0.1..3600 seconds", hint="write --watch 2")
    sensors = RealSensors()
    try:
        sensors.look()
        time.sleep(SETTLE_S)
        while True:
            readings = sensors.look()
            since_boot = sensors.since_boot()
            if arguments.json:
                console.show_json({"sensors": sensors.names, "readings": readings, "since_boot": since_boot})
            else:
                known = {name: value for name, value in asdict(readings).items() if name not in ("at_s", "faults")}
                rows = [(name, "not known" if value is None else f"{value:.6g}") for name, value in known.items()]
                console.show_table(("reading", "now"), rows, right=frozenset({1}))
                for fault in readings.faults:
                    console.say(f"not believed: {fault.sensor} is {fault.kind} ({fault.said})")
                for words in since_boot or ():
                    console.say(f"since the board started: {words}")
            if arguments.watch is None:
                break
            time.sleep(arguments.watch)
    finally:
        sensors.close()
    if not arguments.json:
        console.say("found: " + ("; ".join(sensors.names) or "no sensor at all"))
    return 0
