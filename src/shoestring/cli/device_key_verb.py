"""Make the secret by which this device reads bundles that are encrypted to it, and print its recipient."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "shoestring device-key -o device.key"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out", type=Path, required=True, help="file for the secret; it must not exist yet")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.cli import console
    from shoestring.trust.age import Identity

    identity = Identity.make()
    identity.store(arguments.out)
    if arguments.json:
        console.show_json({"identity": arguments.out, "recipient": identity.recipient})
        return 0
    print(identity.recipient)
    console.say(f"wrote {arguments.out}: it stays on this device; the line on stdout is for the workshop")
    return 0
