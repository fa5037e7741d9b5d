"""A board that is this very machine, so that what happens on a board can be tested without emulation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shoestring.chips.host import this_machine

NAME = "here"


def write_chip_file(folder: Path) -> Path:
    """A chip file of this machine, called NAME. Skips the test where it cannot be written."""
    machine = this_machine()
    if machine.arch != "x86_64":
        pytest.skip("the chip file is written for 64-bit x86")
    path = folder / f"{NAME}.toml"
    fact = 'value = "as seen"\nsource = "this machine"\ndate = "2026-01-01"\nstatus = "measured"\n'
    path.write_text(
        f'like = "n100-mini-pc-8gb"\nname = "{NAME}"\ntitle = "This machine"\nisa = {json.dumps(list(machine.isa))}\n'
        f"[isa_source]\n{fact}"
    )
    return path
