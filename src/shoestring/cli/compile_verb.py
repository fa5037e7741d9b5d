"""Compile a model to native code: one library, program or C file that needs no engine.

The model is read in quarantine and refused as a whole, with every operator named, if any of it cannot be compiled.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.cli.options import add_weights

if TYPE_CHECKING:
    from shoestring.native.deliver import Delivered, Kind

EXAMPLE = "shoestring compile model.onnx --target raspberry-pi-5 -o camera.so"
KINDS = ("library", "program", "source")


class _ListTargets(argparse.Action):
    """Prints the targets and leaves, without a model."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from shoestring.cli.console import show_table
        from shoestring.native.deliver import known_targets

        rows = [(row.name, ", ".join(boards), row.title) for row, boards in known_targets()]
        show_table(("target", "also called", "for"), rows)
        parser.exit(0)


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="bundle, or a model in ONNX or another format (docs/importers.md)")
    add_weights(parser)
    parser.add_argument(
        "--target",
        metavar="NAME[,NAME...]",
        help="what to compile for (default: the best for this machine); a library of several picks when it is loaded",
    )
    parser.add_argument("--list-targets", action=_ListTargets, nargs=0, help="name all targets and exit")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="most threads of a program (default: 1)")
    parser.add_argument("--name", metavar="camera", help="prefix of the C functions (default: after the file)")
    parser.add_argument(
        "--kind",
        choices=KINDS,
        help="library: runtime `native` and ctypes load it (default); program: reads and writes files of arrays; "
        "source: the C, its header, its weights (default for microcontrollers)",
    )
    parser.add_argument("--cc", metavar="CC", help="C compiler (default: $CC, the package ziglang, or what is on PATH)")
    parser.add_argument("-o", "--out", type=Path, help="file or folder to write (default: NAME.so, NAME_run, NAME/)")
    parser.add_argument("--rung", metavar="NAME", help="of a bundle (default: the chosen one)")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.chips.host import this_machine
    from shoestring.cli import console
    from shoestring.cli.onnx_source import onnx_of
    from shoestring.native.deliver import deliver, pick_targets, program_name

    machine = this_machine()
    asked = arguments.target.split(",") if arguments.target is not None else []
    wanted = pick_targets(asked, machine.isa, machine.arch)
    kind: Kind = arguments.kind or ("source" if wanted[0].system == "bare" else "library")
    name = program_name(arguments.model.name) if arguments.name is None else arguments.name
    out = arguments.out or Path({"library": f"{name}.so", "program": f"{name}_run", "source": name}[kind])
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        model = onnx_of(arguments.model, arguments.rung, Path(scratch), arguments.weights)
        made = deliver(model, name, wanted, kind, out, threads=arguments.threads, cc=arguments.cc)
    seconds = time.perf_counter() - started
    if arguments.json:
        console.show_json({"name": name, "seconds": seconds, "delivered": made})
    else:
        _show(made, seconds)
    return 0


def _show(made: Delivered, seconds: float) -> None:
    from shoestring.base.units import format_bytes

    count = made.operators
    code = "C" if made.kind == "source" else "code"
    lines = [
        (made.kind, str(made.path)),
        ("target", ", ".join(made.targets)),
        ("compiler", made.compiler or "none: sources only"),
        ("threads", f"at most {made.threads}"),
        ("arena", format_bytes(made.arena_bytes)),
        ("weights", format_bytes(made.weights_bytes)),
        (code, format_bytes(made.code_bytes)),
        ("operators", f"{count.integer} on 8-bit codes, {count.real} on floats, {count.between} between them"),
        ("time", f"{seconds:.1f} s"),
        *([("flags", " ".join(made.flags))] if made.flags else []),
        *(("note", note) for note in made.notes),
    ]
    for title, words in lines:
        print(f"{title:<12}{words}")
