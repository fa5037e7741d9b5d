"""Show what is in a device's two slots, activate a bundle there, go back to the one before, or forget a refusal.

A bundle is checked and replays its golden set on this machine before it is activated, and is on trial then: whoever
runs it with --slots confirms it, or goes back. A refusal ends with exit code 4, and what was active stays so.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.device.slots import Held, Slots

EXAMPLE = "shoestring slots /var/lib/porch activate camera.shoe --trusted trusted.toml"
ACTIONS = ("show", "activate", "rollback", "forget")
SHOWN = 12  # digits of a hash


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", type=Path, metavar="DIR", help="of the slots")
    parser.add_argument("action", nargs="?", default="show", metavar="|".join(ACTIONS), help="default: show")
    parser.add_argument("what", nargs="?", metavar="BUNDLE|HASH", help="to activate, or refused bundle to forget")
    group = parser.add_argument_group("activate")
    group.add_argument("--trusted", type=Path, metavar="FILE", help="whose signatures count (docs/signing.md)")
    group.add_argument("--allow-unsigned", action="store_true", help="nobody's do: whoever can write here is trusted")
    group.add_argument("--chip", metavar="NAME", help="that this board is")
    group.add_argument("--chip-file", type=Path, metavar="FILE", help="a chip of your own")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import UsageError
    from shoestring.device.slots import Slots

    action, what = arguments.action, arguments.what
    if action not in ACTIONS:
        raise UsageError(f"slots does not know {action!r}", hint=f"one of {', '.join(ACTIONS)}")
    if (what is None) != (action in ("show", "rollback")):
        raise UsageError(f"slots {action} takes {'nothing more' if what else 'a bundle or a hash'}", hint=EXAMPLE)
    slots = Slots(arguments.dir)
    if action == "activate":
        _activate(arguments, slots)
    elif action == "rollback":
        _rollback(slots)
    elif action == "forget":
        slots.forget(what)
    return _show(arguments, slots)


def _activate(arguments: argparse.Namespace, slots: Slots) -> None:
    from shoestring.cli import console
    from shoestring.device.slots import Device, activate_bundle

    policy = None
    if arguments.trusted is not None:
        from shoestring.trust.policy import load_policy

        policy = load_policy(arguments.trusted)
    console.say("checking it, and replaying its golden set on this machine")
    activate_bundle(
        slots,
        Path(arguments.what),
        policy,
        allow_unsigned=arguments.allow_unsigned,
        device=Device(arguments.chip, arguments.chip_file),
    )


def _rollback(slots: Slots) -> None:
    from shoestring.base.errors import SlotError

    active, previous = slots.active(), slots.previous()
    if active is None or previous is None:
        raise SlotError(
            f"{slots.root} has no other good bundle to go back to",
            "damaged",
            hint="shoestring slots DIR shows what it has",
        )
    slots.fail("revoked", "somebody went back from it by hand", active)


def _show(arguments: argparse.Namespace, slots: Slots) -> int:
    from shoestring.cli import console

    active, previous, refused = slots.active(), slots.previous(), slots.refused
    trouble, counter = slots.trouble(), slots.record().counter
    if arguments.json:
        state = "empty" if active is None else active.state
        console.show_json(
            {
                "state": state,
                "active": active,
                "previous": previous,
                "refused": refused,
                "counter": counter,
                "trouble": trouble,
            }
        )
        return 0
    if trouble is not None:
        console.say(f"warning: {trouble}")
    if active is None:
        print("no bundle is active")
    else:
        print(f"active:   {_words(active)}")
    if previous is not None:
        print(f"previous: {_words(previous)}")
    for one in refused:
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(one.at_s))
        print(f"refused:  {one.sha256[:SHOWN]} on {when} UTC ({one.reason}): {one.words}")
    return 0


def _words(held: Held) -> str:
    from shoestring.device.slots import MAX_STARTS

    state = f"on trial, started {held.starts} of {MAX_STARTS} times" if held.state == "trial" else "good"
    release = f", release {held.counter}" if held.counter else ""
    return f"{held.sha256[:SHOWN]} {held.name} in slot {held.slot}, {state}{release}"


__all__ = ["fill", "run"]
