"""Measure a model, or every rung of a bundle, on this machine: interleaved, warm, median with spread."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from shoestring.cli.options import add_weights

EXAMPLE = "shoestring bench camera.shoe --threads 1,2 --export-json bench.json"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", type=Path, help="bundle, or a model in ONNX or another format (docs/importers.md)")
    add_weights(parser)
    parser.add_argument("--threads", metavar="1,2", help="thread counts (default: 1 and all)")
    parser.add_argument(
        "--runtimes",
        metavar="LIST",
        help="of a model, like onnxruntime,native,openvino,litert,ncnn; it is compiled or converted for each "
        "(default: onnxruntime)",
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="for each contestant and thread count")
    parser.add_argument("--export-json", type=Path, metavar="FILE", help="write the figures to a file")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base import canonical, disk
    from shoestring.chips.host import this_machine
    from shoestring.cli import console
    from shoestring.cli.contestants import contestants
    from shoestring.costmodel.measure import describe, measure

    machine = this_machine()
    threads = _threads(arguments.threads, machine.cores)
    with tempfile.TemporaryDirectory() as scratch, console.ShowProgress() as progress:
        asked = tuple(arguments.runtimes.split(",")) if arguments.runtimes is not None else ()
        measured, reference, failed = contestants(
            arguments.target, asked, max(threads), Path(scratch), arguments.weights
        )
        costs = measure(
            measured,
            reference,
            threads,
            seconds_each=arguments.seconds,
            progress=lambda words: progress(words, 0, 0),
        )
    method = describe(len(measured), reference, threads, seconds_each=arguments.seconds)
    result = {"reference": reference, "costs": costs, "machine": machine, "method": method, "failed": failed}
    if arguments.export_json:
        disk.write_bytes(arguments.export_json, canonical.encode(result) + b"\n")
    if arguments.json:
        console.show_json(result)
    else:
        _show(costs, reference)
        for words in failed:
            console.say(f"not measured: {words}")
        console.say(method)
    return 0


def _threads(text: str | None, cores: int) -> tuple[int, ...]:
    from shoestring.base.errors import UsageError

    if text is None:
        return tuple(sorted({1, cores}))
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"--threads {text!r} is not a list of counts above zero", hint="write --threads 1,2")
    return tuple(sorted({int(part) for part in parts}))


def _show(costs: dict[str, Any], reference: str) -> None:
    from shoestring.base.units import format_bytes, format_ms
    from shoestring.cli.console import show_table

    rows = [
        (
            name,
            str(timing.threads),
            format_ms(timing.median_ms),
            f"{timing.low_ms:.3g}-{timing.high_ms:.3g}",
            f"{timing.ratio_to_original:.3f} ({timing.ratio_low:.3f}-{timing.ratio_high:.3f})",
            str(timing.runs),
            format_bytes(cost.peak_rss_bytes),
            format_bytes(cost.size_bytes),
        )
        for name, cost in costs.items()
        for timing in cost.timings
    ]
    columns = ("name", "threads", "median", "10-90 % ms", f"time / {reference}", "runs", "memory", "size")
    show_table(columns, rows, right=frozenset(range(1, 8)))
