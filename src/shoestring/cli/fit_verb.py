"""Compress a model, measure every candidate on this machine, and certify what each loses: an image classifier, a
detector, or a model that writes text.

The images or texts are split three ways by content: one part to calibrate, one to choose, one to certify that no
choice has seen. The result is one bundle with a ladder of rungs, from cheap to exact.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.cli.fit_text import fill_text
from shoestring.cli.fit_writer import fill_writer
from shoestring.cli.options import add_preprocess, add_weights, preprocess_from

if TYPE_CHECKING:
    from shoestring.costmodel.meter import Meter

EXAMPLE = "shoestring fit model.onnx --data photos/ --max-drop 1pt --latency 20ms -o camera.shoe"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", type=Path, help="ONNX file, opset 11 or later, or see docs/importers.md; GGUF of a model that writes"
    )
    add_weights(parser)
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="folder of class folders, folder of images, CSV of path,label, or .npz; folder of texts or .jsonl",
    )
    parser.add_argument("-o", "--out", type=Path, help="bundle to write, like camera.shoe")
    parser.add_argument(
        "--chip",
        default="this-machine",
        metavar="NAME",
        help="this-machine: costs are measured, here; or a board of `shoestring chips`: costs are estimates for it",
    )
    parser.add_argument("--chip-file", type=Path, metavar="FILE", help="a chip file of your own, for --chip")
    parser.add_argument(
        "--rows", type=Path, metavar="FILE", help="CSV of measurements of your own that estimates may rest on"
    )
    there = parser.add_argument_group("a board over ssh (your own keys and configuration; no password is asked)")
    there.add_argument("--ssh", metavar="USER@HOST[:PORT]", help="measure costs there; scores are made here")
    there.add_argument("--python", default="python3", metavar="PATH", help="interpreter there (default: python3)")
    there.add_argument("--ssh-option", action="append", metavar="OPTION", help="for ssh -o; repeatable")
    budget = parser.add_argument_group("budget")
    budget.add_argument("--max-drop", metavar="1pt", help="largest loss of accuracy (or agreement), to be certified")
    budget.add_argument("--latency", metavar="5ms", help="median for one image")
    budget.add_argument("--memory", metavar="200MB", help="peak memory of the process, Python and runtime included")
    budget.add_argument("--size", dest="model_size", metavar="4MB", help="of the stored model")
    budget.add_argument(
        "--threads", type=int, metavar="N", help="judge latency at N threads (default: the better of 1 and all)"
    )
    budget.add_argument("--confidence", type=float, default=0.95, metavar="0.95", help="of the certificate")
    parser.add_argument(
        "--runtimes",
        metavar="LIST",
        help="onnxruntime and any of native,openvino,litert,ncnn, with commas between (default: what is "
        "installed; native where a C compiler is found)",
    )
    parser.add_argument(
        "--student",
        type=Path,
        action="append",
        default=[],
        metavar="MODEL",
        help="another model for the same images and classes, whose candidates join (repeatable)",
    )
    parser.add_argument(
        "--cascade",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look for a cascade: cheap rungs answer first, and unsure ones pass the image on (needs --max-drop)",
    )
    search = parser.add_argument_group("search")
    search.add_argument(
        "--race",
        choices=("certain", "likely", "off"),
        default="certain",
        help="stop scoring a candidate when its rejection is certain (no result changes), likely (error 0.001), never",
    )
    search.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="where layers are probed and candidates scored"
    )
    search.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes of the local engine (default: 1, this one), or most tasks at a time on Ray (default: its CPUs)",
    )
    search.add_argument(
        "--ray-address", metavar="HOST:PORT", help="of a running cluster (default: this machine's, or $RAY_ADDRESS)"
    )
    parser.add_argument(
        "--head",
        metavar="FILE",
        help="of a detector: head.toml, or yolov3, yolov3-tiny, yolov5 or yolov8 (default: what a Darknet network says "
        "of itself; else the model is a classifier)",
    )
    data = parser.add_argument_group("data")
    data.add_argument("--labels", type=Path, metavar="FILE", help="class names in the model's order, one a line")
    data.add_argument("--limit", type=int, metavar="N", help="use at most N images")
    data.add_argument("--seed", type=int, default=0, help="of the splits")
    data.add_argument("--cache", type=Path, metavar="DIR", help="finished steps (default: the user's cache)")
    add_preprocess(parser)
    fill_writer(parser)
    fill_text(parser)


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.units import parse_bytes, parse_drop, parse_ms
    from shoestring.cli import console
    from shoestring.cli.fit_kinds import ENCODER, WRITER, kind_of
    from shoestring.cli.fit_text import fit_encoder
    from shoestring.cli.fit_writer import fit_writer
    from shoestring.cli.tables import cascade_figures, show_candidates, show_cascade, show_detections
    from shoestring.domain.budget import Budget
    from shoestring.engines import open_engine
    from shoestring.evaluate.dataset_labels import read_label_names
    from shoestring.fitting import fit

    budget = Budget(
        max_drop=parse_drop(arguments.max_drop) if arguments.max_drop is not None else None,
        latency_ms=parse_ms(arguments.latency) if arguments.latency is not None else None,
        memory_bytes=parse_bytes(arguments.memory) if arguments.memory is not None else None,
        size_bytes=parse_bytes(arguments.model_size) if arguments.model_size is not None else None,
        threads=arguments.threads,
        confidence=arguments.confidence,
    )
    if kind_of(arguments.model) == WRITER:
        return fit_writer(arguments, budget)
    if kind_of(arguments.model) == ENCODER:
        return fit_encoder(arguments, budget)
    meter = _meter(arguments)
    with (
        open_engine(arguments.engine, arguments.workers, arguments.ray_address) or contextlib.nullcontext() as engine,
        console.ShowProgress() as progress,
        contextlib.redirect_stdout(sys.stderr),  # Ray tells of lost nodes on stdout, which is for our data
    ):
        fitted = fit(
            arguments.model,
            arguments.data,
            weights=arguments.weights,
            out=arguments.out,
            budget=budget,
            chip=arguments.chip,
            chip_file=arguments.chip_file,
            rows=arguments.rows,
            meter=meter,
            preprocess=preprocess_from(arguments),
            head=arguments.head,
            labels=read_label_names(arguments.labels) if arguments.labels else (),
            limit=arguments.limit,
            seed=arguments.seed,
            runtimes=arguments.runtimes.split(",") if arguments.runtimes is not None else None,
            students=arguments.student,
            cascade=arguments.cascade,
            race=arguments.race,
            engine=engine,
            cache=arguments.cache,
            progress=progress,
        )
    if arguments.json:
        console.show_json(
            {
                "chosen": fitted.ladder.chosen,
                "chip": arguments.chip,
                "measured_on": fitted.evidence.measured_on,
                "bundle": arguments.out,
                "rows": fitted.rows(),
                "cascade": cascade_figures(fitted.ladder),
                "preprocess": fitted.manifest.preprocess,
                "notes": fitted.notes,
            }
        )
        return 0
    for note in fitted.notes:
        console.say(note)
    show_candidates(fitted.rows())
    show_detections(fitted.evidence)
    show_cascade(fitted.ladder)
    console.say(f"chosen: {fitted.ladder.chosen}" + (f"; wrote {arguments.out}" if arguments.out else ""))
    return 0


def _meter(arguments: argparse.Namespace) -> Meter | None:
    if arguments.ssh is None:
        return None
    from shoestring.base.errors import UsageError
    from shoestring.cli import console
    from shoestring.probing.board_meter import open_meter
    from shoestring.probing.ssh import parse_board

    if arguments.chip != "this-machine" or arguments.chip_file is not None or arguments.rows is not None:
        raise UsageError(
            "--ssh measures on a board, --chip predicts for one; not both",
            hint="leave out --chip, --chip-file and --rows, or --ssh",
        )
    return open_meter(parse_board(arguments.ssh, arguments.ssh_option or ()), arguments.python, console.say)
