"""Flags of `run` and `serve` about slots, and the way to begin again with another bundle.

A process that finds another bundle active ends its work in good order and replaces itself (execve(2)) by the same
command. That needs nobody's help, and is the same on a terminal and under a service manager, to which it stays the
same process; leaving it to be restarted would take a policy there, a pause, and one of the few restarts that a failing
service has.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from contextlib import ExitStack

    from shoestring.bundle import Bundle
    from shoestring.device.slots import Held, Slots
    from shoestring.device.slots.watching import Watching

WAIT_S = 2.0
"""Between two looks whether a bundle has come, on a device that has none."""


def add_slots(parser: argparse.ArgumentParser) -> None:
    """--slots DIR in the place of a bundle."""
    group = parser.add_argument_group("slots (docs/slots.md)")
    group.add_argument("--slots", type=Path, metavar="DIR", help="run what is active there; names no bundle then")
    group.add_argument("--trial-answers", type=int, metavar="N", help="that make a new bundle good (default: 1000)")
    group.add_argument("--trial-seconds", type=float, metavar="S", help="without a fault that do so (default: 600)")


def bundle_for(
    arguments: argparse.Namespace, stack: ExitStack, *, wait: bool = False
) -> tuple[Bundle, Watching | None]:
    """The bundle to run, open until the stack ends, and who watches it where it comes from slots.

    Args:
        arguments: with `bundle` and the flags of `add_slots`.
        stack: that closes it.
        wait: whether to wait for a first bundle.

    Raises:
        UsageError: both a bundle and slots were named, or neither, or a trial that makes no sense.
        BundleError, StorageError: as `open_bundle`.
        SlotError: as `Slots.begin_open`.
    """
    from shoestring.base.errors import UsageError
    from shoestring.bundle import open_bundle
    from shoestring.cli import console
    from shoestring.device.slots import Slots
    from shoestring.device.slots.trial import TRIAL_ANSWERS, TRIAL_S, Rules
    from shoestring.device.slots.watching import Watching

    given = {"--trial-answers": arguments.trial_answers, "--trial-seconds": arguments.trial_seconds}
    for flag, value in given.items():
        if value is not None and (arguments.slots is None or not 0 < value < float("inf")):
            raise UsageError(f"{flag} {value:g} needs --slots, and a number above zero", hint="leave it out")
    if arguments.slots is None:
        if arguments.bundle is None:
            raise UsageError("no bundle was named", hint="name one, or --slots DIR")
        return stack.enter_context(open_bundle(arguments.bundle)), None
    if arguments.bundle is not None:
        raise UsageError(f"both {arguments.bundle} and --slots {arguments.slots} were named", hint="leave one out")
    slots = Slots(arguments.slots)
    held, bundle = _patiently(slots) if wait else slots.begin_open()
    stack.enter_context(bundle)
    rules = Rules(arguments.trial_answers or TRIAL_ANSWERS, arguments.trial_seconds or TRIAL_S)
    state = f"on trial, start {held.starts}" if held.state == "trial" else "good"
    console.say(f"bundle {held.sha256[:12]} of slot {held.slot}, {state}")
    return bundle, Watching(slots, held, rules, console.say)


def begin_again() -> NoReturn:
    """Replace this process by the same command; the caller has closed all that it held.

    Raises:
        StorageError: the system does not start it.
    """
    from shoestring.base.errors import StorageError
    from shoestring.cli import console
    from shoestring.device.service.notify import Notifier

    console.say("beginning again")
    Notifier(os.environ).tell("WATCHDOG=1", "STATUS=beginning again with another bundle")
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    except OSError as error:
        raise StorageError(f"cannot start {sys.executable} again: {error.strerror or error}") from error


def _patiently(slots: Slots) -> tuple[Held, Bundle]:
    """Begin as soon as there is a bundle: a device may be switched on before it has one, or lose what it had."""
    from shoestring.base.errors import SlotError
    from shoestring.cli import console
    from shoestring.device.service.notify import Notifier

    notifier, said = Notifier(os.environ), ""
    while True:
        why = f"{slots.root} has no bundle yet"
        if slots.root.is_dir():
            try:
                return slots.begin_open()
            except SlotError as error:
                why = error.message
        if why != said:
            console.say(f"{why}; waiting for one")
            said = why
        notifier.tell(f"EXTEND_TIMEOUT_USEC={int(10 * WAIT_S * 1e6)}", "STATUS=waiting for a bundle")
        time.sleep(WAIT_S)


__all__ = ["add_slots", "begin_again", "bundle_for"]
