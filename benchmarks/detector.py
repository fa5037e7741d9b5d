"""What 8 bits cost a detector: YOLOv3-tiny with its published weights, on photographs.

    python benchmarks/detector.py

Every second photo calibrates, whole and in crops, the others judge: signal to quantization noise of both heads, and how
many boxes of the float network the 8-bit one finds with the same class and an overlap (IoU) of 0.5, at scores of 0.25.
Each 8-bit network runs in ONNX Runtime and as a program of our own compiler; on processors without VNNI the former
saturates with 8-bit weights (u8s8). Needs torch, pip, apt-get and zig; the network and the photos are those of
native_models.py and photos.py. Nothing is trained.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

import native_models
from boxes import TINY_ANCHORS, Box, decode, matched
from photos import crops, from_debian, from_wheels
from shoestring.base.outputs import sqnr_db
from shoestring.chips.host import this_machine
from shoestring.compress.apply import apply
from shoestring.compress.bias import float_means, output_spans
from shoestring.compress.clip import clipped_ranges
from shoestring.compress.graph import Graph
from shoestring.compress.observe import value_ranges
from shoestring.compress.passes import Workshop
from shoestring.compress.quantize import needed_ranges
from shoestring.compress.scheme import scheme_named
from shoestring.domain.recipe import Recipe, Step
from shoestring.importers import import_model
from shoestring.native.compiling import build_library, prepare
from shoestring.native.targets import host_target
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]

SIDE, GREY, CROPS = 416, 128, 3
WALKED, ROUNDED = 12, 24
RECIPES = {"nearest": (), "nearest, biases corrected": ("correct_bias",), "rounded": ("round_weights",)}
"""What follows `static_int8`. Drift costs a second rounding, and is tried by a fit alone."""


def letterbox(photo: Image.Image) -> Array:
    """(3, SIDE, SIDE) in 0..1: the whole photo, its sides in proportion, on grey."""
    scale = SIDE / max(photo.size)
    width, height = (max(1, round(length * scale)) for length in photo.size)
    canvas = Image.new("RGB", (SIDE, SIDE), (GREY,) * 3)
    canvas.paste(photo.resize((width, height), Image.Resampling.BICUBIC), ((SIDE - width) // 2, (SIDE - height) // 2))
    return np.ascontiguousarray(np.asarray(canvas, np.float32).transpose(2, 0, 1) / 255)


def views(stem: str, photo: Image.Image) -> list[Array]:
    """The whole photo and seeded crops of it."""
    cut = itertools.islice(crops(stem, photo), CROPS)
    return [letterbox(one) for one in (photo, *(crop for _, crop in cut))]


def photographs() -> tuple[Array, Array]:
    """(n, 3, SIDE, SIDE) of every second photo, and of the others; in the order of their names."""
    with tempfile.TemporaryDirectory() as scratch:
        photos = {
            f"{stem}.png": photo for source in (from_wheels, from_debian) for stem, photo in source(Path(scratch))
        }
    found = [views(Path(name).stem, photos[name]) for name in sorted(photos)]
    learn, held = (np.stack(list(itertools.chain.from_iterable(part))) for part in (found[::2], found[1::2]))
    return learn, held


def network(folder: Path) -> Graph:
    raw, model = folder / "raw.onnx", folder / "model.onnx"
    native_models.yolo(raw, np.zeros((1, 3, SIDE, SIDE), np.float32))
    import_model(raw, model)
    return Graph.load(model)


def workshop_for(graph: Graph, photos: Array, scheme: str) -> Workshop:
    """Ranges, examples and means, as a fit takes them."""
    batches = [{graph.inputs[0]: photo[None]} for photo in photos]
    limits = scheme_named(scheme).activation_limits
    walked, rounded = (batches[:: max(1, len(batches) // count)][:count] for count in (WALKED, ROUNDED))
    seen = value_ranges(graph, lambda: iter(batches), needed_ranges(graph), 1)
    ranges = clipped_ranges(graph, seen, walked, limits, 1)
    spans = output_spans(graph, ranges, limits)
    means = float_means(graph, walked, 1, spans)
    return Workshop(graph, ranges, {}, walked, rounded, means, spans, 1)


def answers(runtime: str, model: Path, photos: Array) -> list[Array]:
    """Fine and coarse head for all photos."""
    with registry.get(runtime).load(model, 1) as session:
        rows = [list(session.run({session.inputs[0].name: photo[None]}).values()) for photo in photos]
    heads = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
    return sorted(heads, key=lambda head: -head.shape[-1])


def compiled(model: Path) -> Path:
    """The program of a model for this machine."""
    machine, library = this_machine(), model.with_suffix(".so")
    build_library(prepare(model.read_bytes(), "detector"), [host_target(machine.isa, machine.arch)], 1, library)
    return library


def boxes_of(heads: list[Array]) -> list[list[Box]]:
    return [decode(list(each), TINY_ANCHORS, SIDE) for each in zip(*heads, strict=True)]


def recipe(name: str, scheme: str) -> Recipe:
    steps = [Step("lower_mean", {}), Step("static_int8", {"scheme": scheme, "float_layers": ()})]
    for step in RECIPES[name]:
        steps.append(Step(step, {"scheme": scheme, "drift": False} if step == "round_weights" else {}))
    return Recipe(name, "int8", tuple(steps), "8 bits for the benchmark")


def row(wanted: list[Array], found: list[Array]) -> str:
    """Noise of each head, boxes of the float network, those found again, those that it does not have, agreement."""
    noise = ", ".join(f"{sqnr_db(a, b):.1f}" for a, b in zip(wanted, found, strict=True))
    truth, boxes = boxes_of(wanted), boxes_of(found)
    total, count = (sum(map(len, each)) for each in (truth, boxes))
    hits = sum(matched(a, b) for a, b in zip(truth, boxes, strict=True))
    return f"{noise} | {total} | {hits} | {count - hits} | {2 * hits / (total + count):.1%}"


def judge(graph: Graph, learn: Array, held: Array, schemes: Sequence[str], folder: Path) -> None:
    """Print a row for every scheme, recipe and engine."""
    model = folder / "judged.onnx"
    model.write_bytes(graph.to_bytes())
    wanted = answers("onnxruntime", model, held)
    print(f"{len(learn)} pictures calibrate, {len(held)} judge")
    print("| scheme | recipe | engine | SQNR fine, coarse (dB) | boxes | found again | more | agreement |")
    print("|---|---|---|---|---|---|---|---|")
    for scheme in schemes:
        workshop = workshop_for(graph, learn, scheme)
        for name in RECIPES:
            apply(recipe(name, scheme), graph, workshop, model)
            for engine, file in (("onnxruntime", model), ("native", compiled(model))):
                print(f"| {scheme} | {name} | {engine} | {row(wanted, answers(engine, file, held))} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schemes", default="u8s8,u8s7")
    schemes = parser.parse_args().schemes.split(",")
    learn, held = photographs()
    with tempfile.TemporaryDirectory() as folder:
        judge(network(Path(folder)), learn, held, schemes, Path(folder))


if __name__ == "__main__":
    main()
