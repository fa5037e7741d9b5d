"""Make the new bundle from the old one and a delta. It is verified before it takes its place."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "shoestring patch camera-1.shoe camera-2.delta -o camera-2.shoe"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", type=Path, help="bundle that the delta was made for")
    parser.add_argument("delta", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="bundle to write; it may be the old one")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.bundle.patching import apply_delta
    from shoestring.cli import console

    sha256 = apply_delta(arguments.old, arguments.delta, arguments.out)
    if arguments.json:
        console.show_json({"bundle": arguments.out, "sha256": sha256})
    else:
        console.say(f"wrote {arguments.out}, every byte verified; its SHA-256 is {sha256}")
    return 0
