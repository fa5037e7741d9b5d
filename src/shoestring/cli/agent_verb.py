"""Follow a fleet's repository: ask what to run, fetch it, put it into the slots on trial, and tell how it went.

`shoestring serve --slots DIR` runs what stands there, and confirms it or goes back. Nothing is told to anybody unless
--report names where to.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from shoestring.device.agent.running import Days
    from shoestring.device.agent.starting import Wishes
    from shoestring.device.service.notify import Heart

EXAMPLE = "shoestring agent --slots /var/lib/porch --repository https://fleet.example --root root.json --group porch"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--slots", type=Path, required=True, metavar="DIR", help="of this device; made when missing")
    parser.add_argument("--repository", metavar="URL|DIR", help="of the fleet: https://..., or a directory or stick")
    parser.add_argument("--root", type=Path, metavar="FILE", help="root.json of the fleet, brought by a safe way")
    parser.add_argument("--group", metavar="NAME", help="of devices that this one belongs to")
    parser.add_argument("--every", default="15m", metavar="15m", help="between two looks (default: 15m)")
    parser.add_argument("--once", action="store_true", help="look once, now, and end")
    parser.add_argument("--chip", metavar="NAME", help="that this is, as `shoestring chips` names it")
    parser.add_argument(
        "--trusted", type=Path, metavar="FILE", help="take only bundles that the keys of this file signed, too"
    )
    parser.add_argument("--ca", type=Path, metavar="PEM", help="certificates of the repository (default: the system's)")
    parser.add_argument(
        "--report", metavar="URL", help="tell a collector: https://host/v1/reports, mqtt[s]://host (default: nobody)"
    )
    parser.add_argument("--report-ca", type=Path, metavar="PEM", help="certificates of the collector")
    parser.add_argument("--show-id", action="store_true", help="show this device's id, and end")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.cli import console
    from shoestring.device.agent.identity import device_key
    from shoestring.device.agent.starting import agent_folder, start
    from shoestring.device.service.notify import Heart, Notifier
    from shoestring.device.slots.locking import alone

    folder = agent_folder(arguments.slots)
    if arguments.show_id:
        device = device_key(folder).public.key_id
        if arguments.json:
            console.show_json({"device": device})
        else:
            print(device)
        return 0
    with alone(folder, wait=False, busy=f"another agent works in {folder}"):
        heart = Heart(Notifier(os.environ), "agent")
        days = start(_wishes(arguments), console.say, heart=heart)
        return _once(arguments, days) if arguments.once else _for_ever(days, heart)


def _once(arguments: argparse.Namespace, days: Days) -> int:
    from shoestring.base import canonical
    from shoestring.cli import console

    found = days.once()
    if arguments.json:
        console.show_json({"did": found.did, "words": found.words, **canonical.plain(found.outlook)})
    if found.error is not None:
        raise found.error
    return 0


def _for_ever(days: Days, heart: Heart) -> int:
    stop = threading.Event()

    def end(number: int, frame: object) -> NoReturn:
        raise SystemExit(0)  # whatever is under way can be cut, and is gone on with at the next start

    signal.signal(signal.SIGTERM, end)
    try:
        heart.ready()
        while True:
            stop.wait(days.turn())
    finally:
        heart.stopping()


def _wishes(arguments: argparse.Namespace) -> Wishes:
    from shoestring.base.errors import UsageError
    from shoestring.base.units import parse_period
    from shoestring.device.agent.starting import Wishes
    from shoestring.trust.policy import load_policy

    for name in ("repository", "root", "group"):
        if getattr(arguments, name) is None:
            raise UsageError(f"--{name} is needed", hint=EXAMPLE)
    return Wishes(
        slots=arguments.slots,
        repository=arguments.repository,
        root=arguments.root,
        group=arguments.group,
        every_s=parse_period(arguments.every),
        chip=arguments.chip,
        policy=None if arguments.trusted is None else load_policy(arguments.trusted),
        report=arguments.report,
        repository_ca=arguments.ca,
        report_ca=arguments.report_ca,
    )


__all__ = ["fill", "run"]
