"""Re-score part of the certification split on another board's instruction set, and write it into the bundle's evidence.

The rung runs on that instruction set: emulated by QEMU, or at full speed where this machine is such a board. Its golden
set is replayed first; then it answers images of the certification split, and every answer is held against the
workshop's. The certificate then names the instruction set. Time under emulation says nothing about the board.
"""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "shoestring prove camera.shoe --board raspberry-pi-4b-4gb --data photos/ -n 200"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--board", required=True, metavar="NAME", help="a board of `shoestring chips`")
    parser.add_argument(
        "--data", type=Path, required=True, help="the images that the bundle was fitted with, as for fit"
    )
    parser.add_argument("-n", "--n", type=int, default=200, metavar="N", help="images to answer (default: 200)")
    parser.add_argument("--rung", help="name of the rung (default: the chosen one)")
    parser.add_argument("--chip-file", type=Path, metavar="FILE", help="a chip file of your own, for --board")
    parser.add_argument("-o", "--out", type=Path, help="bundle to write (default: in place)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="holds the userland (default: the user's cache)")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.cli import console
    from shoestring.cli.proofs import checked_words
    from shoestring.proving.prove import prove

    with console.ShowProgress() as progress:
        proven = prove(
            arguments.bundle,
            arguments.data,
            arguments.board,
            n=arguments.n,
            rung=arguments.rung,
            chip_file=arguments.chip_file,
            out=arguments.out,
            cache=arguments.cache,
            progress=progress,
        )
    if arguments.json:
        console.show_json(
            {
                "rung": proven.proof.rung,
                "counts": proven.counts,
                "system": proven.proof.system,
                "replayed": proven.replayed,
                "bundle": arguments.out or arguments.bundle,
                "sha256": proven.sha256,
                "notes": proven.notes,
            }
        )
        return 0
    for note in proven.notes:
        console.say(note)
    console.say(f"{proven.replayed} golden inputs replayed there")
    for words in checked_words(proven.proof.rung, proven.counts):
        print(words)
    console.say(f"wrote {arguments.out or arguments.bundle}")
    return 0
