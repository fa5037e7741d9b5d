"""Make a model legal for a chip's accelerator: what it takes, where the graph is cut, what brings the rest over.

Rewrites keep what the model computes, and both models are run to show it. With -o the legal model is written.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.cli.planning_options import add_shape, shapes_from

if TYPE_CHECKING:
    from shoestring.compress.graph import Graph
    from shoestring.legalise import Plan, Target
    from shoestring.legalise.edgetpu import Compiled
    from shoestring.legalise.making import Made
    from shoestring.legalise.trtexec import Build

EXAMPLE = "shoestring legalise model.onnx --chip coral-dev-board -o legal.onnx"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="ONNX file; of floats where it is to be rewritten")
    parser.add_argument("--chip", metavar="NAME", help="as `shoestring chips` lists them")
    parser.add_argument("--chip-file", type=Path, metavar="FILE", help="one more chip, described in a TOML file")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE.onnx", help="the legal model to write")
    parser.add_argument(
        "--tflite", type=Path, metavar="FILE.tflite", help="of a quantized model: full-integer TFLite too"
    )
    parser.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="inputs to compare on, beside random ones; learns the range of a quantized model's outputs",
    )
    parser.add_argument(
        "--replace",
        action="append",
        default=[],
        metavar="REWRITE",
        help="make a rewrite that changes the function, like silu-as-hardswish; says how far; repeatable",
    )
    parser.add_argument(
        "--pad-channels", type=int, metavar="N", help="pad channels between convolutions to multiples of N"
    )
    add_shape(parser)


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import UsageError
    from shoestring.chips.loading import chip_named
    from shoestring.compress.graph import Graph
    from shoestring.importers import import_model
    from shoestring.legalise import asked_target
    from shoestring.legalise.target import BETWEEN

    target = asked_target(chip_named(arguments.chip, arguments.chip_file))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        import_model(arguments.model, path, batch_free=False, shapes=shapes_from(arguments.shape))
        graph = Graph.load(path)
        if any(node.op_type in BETWEEN for node in graph.nodes):
            if arguments.out is not None or arguments.replace:
                raise UsageError(
                    "a quantized model is planned and converted, not rewritten: what is new would have no scales",
                    hint="legalise the float model with -o, quantize that, then come back with --tflite",
                )
            return _quantized(arguments, graph, target)
        if arguments.tflite is not None:
            raise UsageError(
                "--tflite needs a quantized model", hint="make one with fit, from the model that -o writes"
            )
        return _floats(arguments, graph, path, target)


def _floats(arguments: argparse.Namespace, graph: Graph, path: Path, target: Target) -> int:
    from shoestring.base import disk
    from shoestring.cli import console
    from shoestring.cli.legalise_text import show_build, show_made
    from shoestring.legalise.making import make_legal, read_feeds

    feeds = [] if arguments.inputs is None else read_feeds(arguments.inputs, graph)
    made = make_legal(path, target, feeds=feeds, replace=arguments.replace, multiple=arguments.pad_channels)
    if arguments.out is not None:
        disk.write_bytes(arguments.out, made.legal.graph.to_bytes())
    build, beyond = _build(arguments, made, target, feeds)
    if arguments.json:
        console.show_json(
            {
                "before": _plan_data(made.before),
                "after": _plan_data(made.after),
                "rewrites": made.legal.done,
                "notes": made.legal.notes,
                "sameness": made.sameness,
                "changed": made.changed,
                "written": arguments.out,
                "build": None if build is None else {"command": build.command, "flags": build.flags},
                "beyond_fp16": beyond,
                "measured": None,
            }
        )
        return 0
    show_made(made, target)
    if build is not None:
        show_build(build, beyond)
    if arguments.out is not None:
        console.say(f"wrote {arguments.out}")
    if target.takes.name == "edge-tpu":
        model = arguments.out or Path("legal.onnx")
        console.say(f"next: shoestring fit {model} --chip {target.chip.name} --data DIR -o camera.shoe")
    return 0


def _build(
    arguments: argparse.Namespace, made: Made, target: Target, feeds: list[Any]
) -> tuple[Build | None, tuple[str, ...]]:
    """The command for TensorRT, and what fp16 cannot hold; nothing for other tools and for a model that is refused."""
    from shoestring.legalise.half import beyond_half
    from shoestring.legalise.making import RANDOM_EXAMPLES
    from shoestring.legalise.same import random_feeds
    from shoestring.legalise.trtexec import build_command

    if target.takes.name != "tensorrt-8-2" or made.after.refused:
        return None, ()
    graph = made.legal.graph
    beyond = beyond_half(graph, [*feeds, *random_feeds(graph, RANDOM_EXAMPLES)])
    weights = sum(value.nbytes for value in graph.weights.values())
    model = arguments.out or Path("legal.onnx")
    activations = made.after.peak_elements * 4
    return build_command(target.chip, model, weights, activations, half=not beyond), beyond


def _quantized(arguments: argparse.Namespace, graph: Graph, target: Target) -> int:
    from shoestring.cli import console
    from shoestring.cli.legalise_text import show_compiled, show_plan
    from shoestring.legalise import plan
    from shoestring.legalise.codes import close_outputs
    from shoestring.legalise.making import read_feeds

    notes: tuple[str, ...] = ()
    if arguments.inputs is not None:
        feeds = read_feeds(arguments.inputs, graph)
        notes = tuple(f"{name} is given out on 8-bit codes" for name in close_outputs(graph, lambda: iter(feeds)))
    found = plan(graph, target)
    compiled, said = _convert(arguments, graph, target)
    if arguments.json:
        data = {"before": _plan_data(found), "notes": (*notes, *said), "compiled": compiled, "measured": None}
        console.show_json({**data, "tflite": arguments.tflite})
        return 0
    show_plan(found, target)
    for note in (*notes, *said):
        console.say(f"note: {note}")
    if arguments.tflite is not None:
        show_compiled(compiled, arguments.tflite)
        console.say(f"wrote {arguments.tflite}")
    return 0


def _convert(arguments: argparse.Namespace, graph: Graph, target: Target) -> tuple[Compiled | None, tuple[str, ...]]:
    """The TFLite file, and what the Edge TPU's compiler says of it where it is installed."""
    from shoestring.base import disk
    from shoestring.base.errors import UsageError
    from shoestring.legalise import edgetpu

    if arguments.tflite is None:
        return None, ()
    if target.takes.name != "edge-tpu":
        raise UsageError(f"{target.accelerator.title} reads no TFLite", hint="leave --tflite out")
    from shoestring.convert.tflite import convert

    converted = convert(graph.to_bytes(), "int8", integer=True)
    disk.write_bytes(arguments.tflite, converted.data)
    compiler = edgetpu.find_compiler()
    if compiler is None:
        return None, converted.notes
    return edgetpu.compile_model(arguments.tflite, arguments.tflite.absolute().parent, compiler), converted.notes


def _plan_data(found: Plan) -> Any:
    from shoestring.base import canonical

    outside = found.first_outside
    return {
        **canonical.plain(found),
        "mapped": len(found.mapped),
        "total": len(found.operators),
        "mapped_macs": found.mapped_macs,
        "macs": found.macs,
        "refused": found.refused,
        "first_outside": None if outside is None else outside.name,
    }
