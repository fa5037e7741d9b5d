"""Encrypt a bundle so that only the devices named can read it. Sign it first: this does not say who made it."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "shoestring encrypt camera.shoe --to devices.txt -o camera.shoe.age"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path)
    parser.add_argument(
        "--to",
        action="append",
        required=True,
        metavar="RECIPIENT",
        help="a device's recipient, age1..., or a file with one a line; may be given several times",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="file to write, like camera.shoe.age")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.bundle.sealed import encrypt_bundle
    from shoestring.cli import console
    from shoestring.trust.age import recipients

    to = recipients(arguments.to)
    sha256 = encrypt_bundle(arguments.bundle, to, arguments.out)
    if arguments.json:
        console.show_json({"encrypted": arguments.out, "bundle_sha256": sha256, "recipients": list(to)})
    else:
        console.say(f"wrote {arguments.out}, which {len(to)} device(s) can read")
    return 0
