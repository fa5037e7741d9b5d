"""4-bit weights beside 8-bit activations on the CIFAR-10 demo: what rounding to nearest loses, and what mends it.

    python benchmarks/w4a8.py

Calibrates on the calibration split of examples/cifar10 and prints accuracy on all other images of it, the drop against
fp32 on the same images, and the divergence of the outputs. Every weight has 4 bits, first and last layer included.
`--layers` compares the ways of rounding on single layers instead, with their seconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.outputs import mean_kl
from shoestring.compress.adaround import learn_rounding
from shoestring.compress.bias import correct_biases, first_examples, float_means
from shoestring.compress.blocks import gptq_metric
from shoestring.compress.clip import clipped_ranges
from shoestring.compress.descent import by_gptq, descend, nearest, quadratic_error, search
from shoestring.compress.graph import Graph
from shoestring.compress.layers import is_weighted
from shoestring.compress.narrow import WEIGHT, round_layers
from shoestring.compress.observe import Range, value_ranges
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.compress.quantize import needed_ranges, to_qdq
from shoestring.compress.scheme import scheme_named
from shoestring.evaluate.dataset import Dataset, open_dataset
from shoestring.evaluate.splits import Splits, split
from shoestring.importers import import_model
from shoestring.inputs.image import tensor
from shoestring.inputs.spec import load_preprocess
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shoestring.compress.walk import Batch
    from shoestring.domain.preprocess import Preprocess

EXAMPLES = Path(__file__).parents[1] / "examples"
SCHEME = "u8s4"
LIMIT = scheme_named(SCHEME).weight_limit
CLIP_EXAMPLES = 32


@dataclass(frozen=True)
class Ground:
    """The demo with its splits."""

    graph: Graph
    dataset: Dataset
    splits: Splits
    spec: Preprocess

    def feed(self, indices: Sequence[int], size: int = 16) -> Iterator[Batch]:
        for pixels in self.dataset.batches(indices, self.spec, size):
            yield {self.graph.inputs[0]: tensor(pixels, self.spec)}

    def logits(self, graph: Graph, indices: Sequence[int]) -> np.ndarray[Any, Any]:
        with registry.get("onnxruntime").load(graph.to_bytes(), 1) as session:
            return np.concatenate([session.run(batch)[graph.outputs[0]] for batch in self.feed(indices)])


def open_ground() -> Ground:
    with tempfile.TemporaryDirectory() as folder:
        model = import_model(EXAMPLES / "cifar10_main.onnx", Path(folder) / "model.onnx")
        graph = LowerMean().run(Graph.load(model.path), {})[0]
    dataset = open_dataset(EXAMPLES / "cifar10")
    return Ground(graph, dataset, split(dataset), load_preprocess(EXAMPLES / "cifar10_main.toml"))


def by_nearest(rows, gram, limit, floor):
    """Scales from the range of each channel."""
    scales = range_scales(rows, limit, floor)
    return nearest(rows, scales, limit), scales


def by_gptq_alone(rows, gram, limit, floor):
    """GPTQ on scales from the range of each channel; nearest for depthwise layers."""
    scales = range_scales(rows, limit, floor)
    if gram.ndim == 3:
        return nearest(rows, scales, limit), scales
    return by_gptq(rows, scales, gptq_metric(gram), limit), scales


def by_adaround(rows, gram, limit, floor):
    """Learned rounding on the scales that the search finds."""
    _, scales = search(rows, gram, limit, floor)
    return learn_rounding(rows, scales, gram, limit), scales


def by_descent_alone(rows, gram, limit, floor):
    """Coordinate descent from the nearest integers, scales from the range of each channel."""
    scales = range_scales(rows, limit, floor)
    return descend(rows, scales, gram, limit, nearest(rows, scales, limit)), scales


def range_scales(rows, limit, floor):
    scales = np.maximum(np.abs(rows).max(axis=1) / limit, floor)
    return scales.astype(np.float32).astype(np.float64)


FINDERS = {
    "nearest": by_nearest,
    "GPTQ": by_gptq_alone,
    "coordinate descent": by_descent_alone,
    "AdaRound, searched scales": by_adaround,
    "GPTQ, descent, searched scales": search,
}


def variants(ground: Ground, images: int, chosen: Sequence[str]) -> Iterator[tuple[str, Graph, float]]:
    """Name, graph and seconds of every way."""
    batches = first_examples(lambda: ground.feed(ground.splits.calibration), images)
    few = first_examples(lambda: ground.feed(ground.splits.calibration), CLIP_EXAMPLES)
    scheme = scheme_named(SCHEME)
    ranges = calibrated(ground, few, scheme.activation_limits)
    means = float_means(ground.graph, batches, 1)
    yield "fp32", ground.graph, 0.0
    plain = to_qdq(ground.graph, ranges, scheme_named("u8s8"), frozenset())
    yield "W8A8, nearest", plain, 0.0
    plain = to_qdq(ground.graph, ranges, scheme, frozenset())
    yield "W4A8, nearest", plain.copy(), 0.0
    yield "W4A8, nearest, biases corrected", timed(lambda: correct_biases(plain, means, batches, 1), plain)[0], 0.0
    limits = {node.name: LIMIT for node in ground.graph.nodes if is_weighted(ground.graph, node)}
    for name in chosen:
        graph = to_qdq(ground.graph, ranges, scheme, frozenset())

        def work(graph: Graph = graph, name: str = name) -> None:
            round_layers(ground.graph, graph, limits, batches, 1, FINDERS[name])
            correct_biases(graph, means, batches, 1)

        yield f"W4A8, layer-wise, {name}", *timed(work, graph)


def timed(work: Callable[[], object], graph: Graph) -> tuple[Graph, float]:
    start = time.perf_counter()
    work()
    return graph, time.perf_counter() - start


def calibrated(ground: Ground, few: list[Batch], limits: tuple[int, int]) -> dict[str, Range]:
    seen = value_ranges(ground.graph, lambda: ground.feed(ground.splits.calibration), needed_ranges(ground.graph))
    return clipped_ranges(ground.graph, seen, few, limits, 1)


def compressed_bytes(graph: Graph) -> int:
    """What the weights take by zlib, as a bundle or an update would send them."""
    used = {name for node in graph.nodes for name in node.input}
    return sum(len(zlib.compress(value.tobytes(), 9)) for name, value in graph.weights.items() if name in used)


def show(ground: Ground, images: int, chosen: Sequence[str]) -> int:
    tested = sorted({*ground.splits.selection, *ground.splits.certification})
    labels = np.array([ground.dataset.labels[i] for i in tested])
    print(f"{len(tested):,} images outside calibration; {images} of {len(ground.splits.calibration)} for rounding")
    print(f"{'':<52} {'top-1':>7} {'drop':>9} {'KL':>8} {'weights':>9} {'seconds':>8}")
    reference: np.ndarray[Any, Any] | None = None
    best = np.inf
    for name, graph, seconds in variants(ground, images, chosen):
        logits = ground.logits(graph, tested)
        reference = logits if reference is None else reference
        hits, before = ((part.argmax(axis=1) == labels).mean() for part in (logits, reference))
        drop = 100 * (before - hits)
        best = min(best, drop) if "layer-wise" in name else best
        print(
            f"{name:<52} {100 * hits:5.2f} % {drop:6.2f} pt {mean_kl(reference, logits):8.4f}"
            f" {compressed_bytes(graph) / 1e6:6.2f} MB {seconds:8.1f}",
            flush=True,
        )
        if "W4A8" in name:
            beyond = [
                item for item, value in graph.weights.items() if item.endswith(WEIGHT) and abs(value).max() > LIMIT
            ]
            if beyond:
                sys.exit(f"weights beyond +-{LIMIT}: {beyond[0]}")
    return 0 if best <= 1.0 else 1


def show_layers(ground: Ground, images: int, every: int) -> None:
    """Relative error of single layers by every way of rounding, on the same matrices."""
    from shoestring.compress import narrow

    batches = first_examples(lambda: ground.feed(ground.splits.calibration), images)
    ranges = calibrated(ground, batches, (0, 255))
    names = [node.name for node in ground.graph.nodes if is_weighted(ground.graph, node)]
    found: list[tuple[tuple[int, ...], dict[str, tuple[float, float]]]] = []

    def compare(rows, gram, limit, floor):
        line = {}
        if len(found) % every == 0:
            power = quadratic_error(rows, 0 * rows, gram).sum()
            for name, finder in FINDERS.items():
                start = time.perf_counter()
                integers, scales = finder(rows, gram, limit, floor)
                error = quadratic_error(rows, integers * scales[:, None], gram).sum() / power
                line[name] = (float(error), time.perf_counter() - start)
        found.append((rows.shape, line))
        return search(rows, gram, limit, floor)

    graph = to_qdq(ground.graph, ranges, scheme_named(SCHEME), frozenset())
    narrow.round_layers(ground.graph, graph, dict.fromkeys(names, LIMIT), batches, 1, compare)
    print("output error over variance, per mille (seconds)")
    print(f"{'layer':<16} {'rows, k':<12}" + "".join(f"{name[:28]:>30}" for name in FINDERS))
    for name, (shape, line) in zip(names, found, strict=True):
        if line:
            cells = "".join(f"{1e3 * error:>21.3f} ({seconds:5.2f})" for error, seconds in line.values())
            print(f"{name:<16} {shape!s:<12}" + cells)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64, help="calibration images that rounding looks at (default 64)")
    parser.add_argument("--all", action="store_true", help="every way of rounding, not only nearest and the search")
    parser.add_argument("--layers", type=int, metavar="N", help="compare the ways on every N-th layer and stop")
    args = parser.parse_args()
    ground = open_ground()
    if args.layers:
        show_layers(ground, args.images, args.layers)
        return 0
    return show(ground, args.images, list(FINDERS) if args.all else [list(FINDERS)[-1]])


if __name__ == "__main__":
    sys.exit(main())
