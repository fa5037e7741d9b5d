"""List the chips we know, show one with every figure and its source, or rank them all for a model.

With --for MODEL --fps N every chip is weighed: what it keeps up when hot, watts, price, memory; the refused say why.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.cli import chips_for

if TYPE_CHECKING:
    from shoestring.domain.chip import Chip

EXAMPLE = "shoestring chips --for model.onnx --fps 15 --max-price 100 --ambient 35 --html boards.html"
ACTIONS = ("list", "show")


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", default="list", metavar="list|show", help="what to do (default: list)")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the chip to show")
    parser.add_argument("--chip-file", type=Path, metavar="FILE", help="one more chip, described in a TOML file")
    chips_for.fill(parser)


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import UsageError

    if arguments.model is not None:
        return chips_for.run(arguments)
    if arguments.action not in ACTIONS:
        raise UsageError(
            f"chips does not know {arguments.action!r}", hint=f"shoestring chips show {arguments.action}, or just chips"
        )
    return _show(arguments) if arguments.action == "show" else _list(arguments)


def _list(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import UsageError
    from shoestring.chips import table
    from shoestring.chips.loading import catalogue, with_file
    from shoestring.cli import console

    if arguments.name is not None:
        raise UsageError(f"chips list takes no name, got {arguments.name!r}", hint="shoestring chips show NAME")
    chips = with_file(catalogue(), arguments.chip_file)
    if arguments.json:
        console.show_json(chips)
        return 0
    rows = [table.row(chip) for chip in chips.values()]
    console.show_table(table.COLUMNS, rows, right=table.RIGHT)
    console.say("prices move: each is of its day; `shoestring chips show NAME` has all figures with their sources")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from shoestring.chips.loading import chip_named
    from shoestring.cli import console

    chip = chip_named(arguments.name, arguments.chip_file)
    if arguments.json:
        console.show_json(chip)
    else:
        _print(chip)
    return 0


def _print(chip: Chip) -> None:
    from shoestring.chips import table

    print(f"{chip.name}: {chip.title} ({chip.kind}, {chip.soc})")
    for words, names in (("runs on", chip.host), ("instruction sets", chip.isa), ("measurements of", chip.rows)):
        if names:
            print(f"{words}: {', '.join(names)}")
    for accelerator in chip.accelerators:
        operators = ", ".join(accelerator.operators) or "no public list"
        print(f"operators of {accelerator.title}: {operators}; one that it lacks {accelerator.outside}")
    for what, value, status, date, source in table.stated(chip):
        print(f"\n{what}: {value}\n    {status}, {date}: {source}")
