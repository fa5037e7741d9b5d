"""Engines of benchmarks/pipeline.py: YOLOv3-tiny as fp32 and as int8, and the runtime that is fastest here.

The 8-bit network leaves its first convolution and the last one of each head in float, a twentieth of its products:
eight bits for the logits of sizes and of scores at once make boxes tremble.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.chips.host import this_machine
from shoestring.compress.apply import apply
from shoestring.compress.bias import float_means, output_spans
from shoestring.compress.clip import clipped_ranges
from shoestring.compress.graph import Graph
from shoestring.compress.observe import value_ranges
from shoestring.compress.passes import Workshop
from shoestring.compress.quantize import needed_ranges
from shoestring.compress.scheme import scheme_named
from shoestring.convert.registry import WRITERS, convert_for
from shoestring.device.pipelines.prepare import prepare as prepare_picture
from shoestring.domain.head import Head, Part
from shoestring.domain.preprocess import Preprocess
from shoestring.domain.recipe import Recipe, Step
from shoestring.inputs.image import tensor
from shoestring.native.compiling import build_library, prepare
from shoestring.native.targets import host_target
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from shoestring.runtimes.protocol import Session

    Floats = npt.NDArray[np.float32]

SIDE, CLASSES, WALKED, TRIED = 416, 80, 8, 12
# The weights that its authors publish were trained with the masks 1,2,3 and 3,4,5 of these anchors, whatever later
# versions of the .cfg say: with 0,1,2 people come out half as large.
ANCHORS = (((23, 27), (37, 58), (81, 82)), ((81, 82), (135, 169), (344, 319)))
HEAD = Head(
    "yolo-anchors",
    (Part("fine", (255, 26, 26)), Part("coarse", (255, 13, 13))),
    CLASSES,
    tuple(tuple((float(w), float(h)) for w, h in sizes) for sizes in ANCHORS),
)
SPEC = Preprocess(SIDE, SIDE, "letterbox", filter="bicubic")


@dataclass(frozen=True)
class Engine:
    """A loaded network.

    Args:
        name: `int8 openvino`.
        session: of batch 1.
    """

    name: str
    session: Session

    def run(self, batch: npt.NDArray[Any]) -> list[Floats]:
        """The fine and the coarse head of one normalised picture (1, 3, SIDE, SIDE)."""
        heads = [head[0] for head in self.session.run({self.session.inputs[0].name: batch}).values()]
        return sorted(heads, key=lambda head: -head.shape[-1])

    def infer(self, pixels: npt.NDArray[np.uint8]) -> Floats:
        """The flat output for pixels (SIDE, SIDE, 3)."""
        return np.concatenate([head.ravel() for head in self.run(tensor(pixels[None], SPEC))])


def quantized(model: Path, pictures: Sequence[npt.NDArray[np.uint8]], out: Path, scheme: str) -> Path:
    """The 8-bit network, calibrated on RGB pictures that nobody is judged on."""
    graph = Graph.load(model)
    batches = [{graph.inputs[0]: tensor(prepare_picture(one, SPEC)[None], SPEC)} for one in pictures]
    limits, walked = scheme_named(scheme).activation_limits, batches[:WALKED]
    seen = value_ranges(graph, lambda: iter(batches), needed_ranges(graph), 1)
    ranges = clipped_ranges(graph, seen, walked, limits, 1)
    spans = output_spans(graph, ranges, limits)
    workshop = Workshop(graph, ranges, {}, walked, walked, float_means(graph, walked, 1, spans), spans, 1)
    first = next(node.name for node in graph.nodes if node.op_type == "Conv")
    last = (node.name for node in graph.nodes if set(node.output) & set(graph.outputs))
    quantize = Step("static_int8", {"scheme": scheme, "float_layers": (first, *last)})
    recipe = Recipe("int8", "int8", (quantize, Step("correct_bias", {})), "8 bits, both ends in float")
    apply(recipe, graph, workshop, out)
    return out


def load(runtime: str, model: Path, precision: str) -> Session:
    """A session on one thread."""
    if runtime == "native":
        machine, library = this_machine(), model.with_suffix(".so")
        build_library(prepare(model.read_bytes(), "detector"), [host_target(machine.isa, machine.arch)], 1, library)
        return registry.get(runtime).load(library, 1)
    if runtime in WRITERS:
        target = model.with_suffix(f".{runtime}")
        target.write_bytes(convert_for(runtime, model, precision).data)
        return registry.get(runtime).load(target, 1)
    return registry.get(runtime).load(model, 1)


def fastest(model: Path, runtimes: list[str], rounds: int = TRIED) -> tuple[Engine, dict[str, float]]:
    """The fastest runtime for the 8-bit network, and the lower quartile of each one's times in ms, interleaved."""
    engines = [Engine(f"int8 {name}", load(name, model, "int8")) for name in runtimes]
    batch = np.random.default_rng(0).random((1, 3, SIDE, SIDE), np.float32)
    times: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for turn in range(rounds + 1):
        for engine in engines:
            start = time.perf_counter()
            engine.run(batch)
            if turn:  # the first one warms up
                times[engine.name].append(1e3 * (time.perf_counter() - start))
    quartiles = {name: float(np.percentile(taken, 25)) for name, taken in times.items()}
    best = min(engines, key=lambda engine: quartiles[engine.name])
    for engine in engines:
        if engine is not best:
            engine.session.close()
    return best, quartiles
