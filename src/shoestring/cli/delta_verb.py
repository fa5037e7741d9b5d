"""Write what changed between two bundles, so that a device which holds the old one fetches little."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "shoestring delta camera-1.shoe camera-2.shoe -o camera-2.delta"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", type=Path, help="bundle that devices hold")
    parser.add_argument("new", type=Path, help="bundle that they should have")
    parser.add_argument("-o", "--out", type=Path, required=True, help="delta to write, like camera-2.delta")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base import canonical
    from shoestring.base.units import format_bytes
    from shoestring.bundle.delta import make_delta
    from shoestring.cli import console

    made = make_delta(arguments.old, arguments.new, arguments.out)
    if arguments.json:
        console.show_json({"delta": arguments.out, **canonical.plain(made)})
        return 0
    rows = [
        (file.what, file.how, format_bytes(file.stored_bytes), format_bytes(file.sent_bytes)) for file in made.files
    ]
    console.show_table(("file", "sent as", "in the bundle", "in the delta"), rows, right=frozenset({2, 3}))
    share = made.delta_bytes / made.new_bytes
    print(f"{format_bytes(made.delta_bytes)} instead of {format_bytes(made.new_bytes)}: {share:.1%} of the new bundle")
    console.say(f"wrote {arguments.out}")
    return 0
