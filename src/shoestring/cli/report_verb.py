"""Write one self-contained HTML page about a bundle: the ladder, the certificate in plain words, what was rejected."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "shoestring report camera.shoe -o camera.html"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="page to write, like camera.html")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base import disk
    from shoestring.bundle import open_bundle
    from shoestring.cli import console
    from shoestring.report import render

    with open_bundle(arguments.bundle) as bundle:
        evidence = bundle.evidence()
        bundle.bom(evidence)  # the page speaks of it, so it is held against the bundle first
        page = render(bundle.manifest, evidence, size_bytes=arguments.bundle.stat().st_size)
    disk.write_text(arguments.out, page)
    if arguments.json:
        console.show_json({"page": arguments.out, "size_bytes": len(page.encode())})
    else:
        console.say(f"wrote {arguments.out}")
    return 0
