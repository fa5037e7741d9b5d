"""Measure this machine: memory bandwidth, arithmetic peaks, a suite of operators on every runtime that is installed.

Writes a chip file in the catalogue's form (for --chip-file), measurement rows that predictions rest on, and the counts
of the networks behind them. Takes under three minutes; a sensor that is not there is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "shoestring probe -o my-board.toml --rows my-board.csv"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out", type=Path, metavar="NAME.toml", help="chip file to write; its stem is the name")
    parser.add_argument("--rows", type=Path, metavar="FILE.csv", help="rows to write (default: NAME.csv beside --out)")
    parser.add_argument("--runtimes", metavar="LIST", help="like onnxruntime,native (default: what is installed)")
    parser.add_argument("--cc", metavar="COMMAND", help="C compiler (default: one is looked for)")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import UsageError
    from shoestring.chips.schema import NAME
    from shoestring.cli import console
    from shoestring.probing import probe

    out, rows_path = arguments.out, arguments.rows
    if out is None and rows_path is not None:
        raise UsageError("--rows needs --out, whose name the rows bear", hint="-o my-board.toml")
    if out is not None and (out.suffix != ".toml" or not NAME.fullmatch(out.stem)):
        raise UsageError(
            f"{out.name!r} cannot name a chip file",
            hint="lower-case letters, digits, . and -, at most 64, then .toml: my-board.toml",
        )
    for path in (out, rows_path):
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(f"the directory of {path} does not exist", hint="create it first")
    with console.ShowProgress() as progress:
        found = probe(
            None if out is None else out.stem,
            runtimes=arguments.runtimes.split(",") if arguments.runtimes else None,
            cc=arguments.cc,
            progress=lambda words: progress(words, 0, 0),
        )
    written: list[Path] = []
    if out is not None:
        rows_path = rows_path or out.with_suffix(".csv")
        written = [out, rows_path, found.save(out, rows_path)]
    if arguments.json:
        console.show_json(
            {
                "chip": found.chip,
                "rows": found.rows,
                "networks": list(found.networks.values()),
                "speeds": found.speeds,
                "seconds": round(found.seconds, 1),
                "notes": found.notes,
                "written": written,
            }
        )
        return 0
    for note in (*found.notes, *(note.value for note in found.chip.notes)):
        console.say(note)
    units = {"copy": "GB/s", "cycles": "GHz (all threads)"}
    console.show_table(
        ["what", "threads", "rate", "unit", "how"],
        [
            [one.kind, str(one.threads or "its own"), f"{one.rate / 1e9:.1f}", units.get(one.kind, "Gop/s"), one.method]
            for one in found.speeds
        ],
        right=frozenset({1, 2}),
    )
    console.show_table(
        ["network", "runtime", "precision", "threads", "ms"],
        [[r.model, r.runtime, r.precision, str(r.threads), f"{r.latency_ms:.3f}"] for r in found.rows],
        right=frozenset({3, 4}),
    )
    console.say(f"measured in {found.seconds:.0f} s" + (f"; wrote {', '.join(map(str, written))}" if written else ""))
    return 0
