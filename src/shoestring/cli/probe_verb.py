"""Measure this machine, or a board over ssh: bandwidth, arithmetic peaks, operators on every installed runtime.

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
    parser.add_argument(
        "--runtimes",
        metavar="LIST",
        help="like onnxruntime,native,litert,ncnn (default: onnxruntime,native, as far as installed)",
    )
    parser.add_argument("--cc", metavar="COMMAND", help="C compiler (default: one is looked for)")
    parser.add_argument("--nets", type=int, metavar="N", help="only the first N networks of the suite (default: all)")
    there = parser.add_argument_group("a board over ssh (your own keys and configuration; no password is asked)")
    there.add_argument("--ssh", metavar="USER@HOST[:PORT]", help="probe there; needs --out")
    there.add_argument("--python", default="python3", metavar="PATH", help="interpreter there (default: python3)")
    there.add_argument("--ssh-option", action="append", metavar="OPTION", help="for ssh -o; repeatable")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import UsageError
    from shoestring.chips.schema import NAME
    from shoestring.cli import console
    from shoestring.probing import probe
    from shoestring.probing.nets import SUITE

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
    if arguments.nets is not None and arguments.nets < 1:
        raise UsageError(f"--nets {arguments.nets} must be at least 1", hint="leave it out for the whole suite")
    if arguments.ssh is not None:
        return _elsewhere(arguments)
    with console.ShowProgress() as progress:
        found = probe(
            None if out is None else out.stem,
            runtimes=arguments.runtimes.split(",") if arguments.runtimes else None,
            cc=arguments.cc,
            nets=SUITE[: arguments.nets],
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


def _elsewhere(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import UsageError
    from shoestring.cli import console
    from shoestring.probing.remote import probe_board
    from shoestring.probing.ssh import parse_board

    if arguments.out is None:
        raise UsageError("--ssh needs --out, which names the chip", hint="-o my-board.toml")
    flags = [
        *(("--runtimes", arguments.runtimes) if arguments.runtimes else ()),
        *(("--cc", arguments.cc) if arguments.cc else ()),
        *(("--nets", str(arguments.nets)) if arguments.nets else ()),
    ]
    found = probe_board(
        parse_board(arguments.ssh, arguments.ssh_option or ()),
        arguments.out,
        arguments.rows or arguments.out.with_suffix(".csv"),
        python=arguments.python,
        flags=tuple(flags),
        heard=console.say,
    )
    if arguments.json:
        console.show_json({"written": found.written, "rows": found.rows})
    else:
        console.say(f"wrote {', '.join(map(str, found.written))}: {found.rows} rows")
    return 0
