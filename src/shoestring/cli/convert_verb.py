"""Write a model, or a rung of a bundle, in the format of another runtime, with the very same scales.

Both sides then run on the same inputs, each in its own runtime, and the difference is printed. Operators that cannot
go are all named, with the rewrite that would do.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.cli.options import add_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.convert.compare import Difference

EXAMPLE = "shoestring convert camera.shoe --rung int8 --to litert -o camera.tflite"
RUNTIMES = ("litert", "ncnn", "openvino")
PRECISIONS = ("fp32", "int8", "fp16")


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="ONNX file (float, or quantized in QDQ form) or bundle")
    add_weights(parser)
    parser.add_argument("--to", required=True, choices=RUNTIMES, help="runtime that is to run it")
    parser.add_argument("-o", "--out", type=Path, required=True, help="file to write")
    parser.add_argument("--rung", metavar="NAME", help="of a bundle (default: the chosen one)")
    parser.add_argument(
        "--precision", choices=PRECISIONS, help="of the arithmetic (default: int8 for a quantized model, else fp32)"
    )
    parser.add_argument("--check", action=argparse.BooleanOptionalAction, default=True, help="run both sides")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base import disk
    from shoestring.base.units import format_bytes
    from shoestring.cli import console
    from shoestring.cli.onnx_source import onnx_of
    from shoestring.convert.compare import compare
    from shoestring.convert.registry import convert_for, is_quantized

    with tempfile.TemporaryDirectory() as scratch:
        model = onnx_of(arguments.model, arguments.rung, Path(scratch), arguments.weights)
        precision = arguments.precision or ("int8" if is_quantized(model) else "fp32")
        converted = convert_for(arguments.to, model, precision)
        disk.write_bytes(arguments.out, converted.data)
        found = compare(model, arguments.out, arguments.to) if arguments.check else ()
    if arguments.json:
        console.show_json(
            {
                "out": arguments.out,
                "runtime": arguments.to,
                "precision": precision,
                "size_bytes": len(converted.data),
                "notes": converted.notes,
                "differences": found,
            }
        )
        return 0
    print(f"{arguments.out}: {format_bytes(len(converted.data))}, for {arguments.to} in {precision}")
    for note in converted.notes:
        print(f"note: {note}")
    _show(found, arguments.to)
    return 0


def _show(found: Sequence[Difference], runtime: str) -> None:
    from shoestring.cli.console import show_table

    if not found:
        return
    rows = [
        (
            one.output,
            f"{one.identical:,} of {one.values:,}",
            f"{one.largest:.3g}",
            f"{one.spread:.3g}",
            f"{one.part:.2%}",
        )
        for one in found
    ]
    columns = ("output", f"identical: onnxruntime, {runtime}", "largest difference", "spread", "part")
    show_table(columns, rows, right=frozenset(range(1, 5)))
