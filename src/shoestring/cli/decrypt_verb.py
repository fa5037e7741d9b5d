"""Decrypt a bundle that was encrypted to this device, and verify every byte of it before it takes its place."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "shoestring decrypt camera.shoe.age --identity device.key -o camera.shoe"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="encrypted bundle")
    parser.add_argument("--identity", type=Path, required=True, help="this device's secret, from shoestring device-key")
    parser.add_argument("-o", "--out", type=Path, required=True, help="bundle to write, like camera.shoe")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.bundle.sealed import decrypt_bundle
    from shoestring.cli import console
    from shoestring.trust.age import load_identity

    sha256 = decrypt_bundle(arguments.file, load_identity(arguments.identity), arguments.out)
    if arguments.json:
        console.show_json({"bundle": arguments.out, "sha256": sha256})
    else:
        console.say(f"wrote {arguments.out}")
    return 0
