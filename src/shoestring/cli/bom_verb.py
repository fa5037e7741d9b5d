"""Print a bundle's bill of materials: CycloneDX 1.6 with a model card for each rung, held against the bundle first."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "shoestring bom camera.shoe -o camera.cdx.json"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path)
    parser.add_argument("-o", "--out", type=Path, help="file to write, like camera.cdx.json; otherwise it is printed")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base import disk
    from shoestring.base.errors import BundleError
    from shoestring.bundle import open_bundle
    from shoestring.cli import console

    with open_bundle(arguments.bundle) as bundle:
        bom = bundle.bom()
        sha256 = bundle.manifest.bom
        if bom is None or sha256 is None:
            raise BundleError(
                f"{arguments.bundle} has no bill of materials: it is from before there was one",
                hint="make it again with shoestring fit, which keeps finished steps",
            )
        stored = bundle.read(sha256)
    if arguments.out is None:
        console.show_json(bom)
        return 0
    disk.write_bytes(arguments.out, stored)
    if arguments.json:
        console.show_json({"bom": arguments.out, "sha256": sha256, "size_bytes": len(stored)})
    else:
        console.say(f"wrote {arguments.out}: CycloneDX {bom['specVersion']}, {len(bom['components'])} components")
    return 0
