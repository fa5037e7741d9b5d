"""A student beside its original on images that neither has learned from: accuracy, agreement, latency.

    python examples/fetch_cifar10.py --out ~/.cache/shoestring/cifar10
    shoestring distill examples/cifar10_main.onnx --data examples/cifar10 --preprocess examples/cifar10_main.toml \\
        --train-data ~/.cache/shoestring/cifar10/train.npz --target-latency 0.08ms -o student.onnx
    python benchmarks/student.py examples/cifar10_main.onnx student.onnx --preprocess examples/cifar10_main.toml \\
        --data ~/.cache/shoestring/cifar10/test.npz

Ranges of the 8-bit forms come from the first images of the data, which are left out of the scores.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from shoestring.chips.host import this_machine
from shoestring.compress.graph import Graph
from shoestring.compress.passes.lower_mean import LowerMean
from shoestring.compress.scheme import scheme_for
from shoestring.domain.preprocess import Preprocess
from shoestring.evaluate.dataset import Dataset, open_dataset
from shoestring.evaluate.identity import seen_before
from shoestring.importers import import_model
from shoestring.importers.trained_on import trained_on
from shoestring.inputs.spec import load_preprocess
from shoestring.runtimes import registry
from shoestring.training.images import batches
from shoestring.training.meter import RealMeter
from shoestring.training.rounding import quantize

RANGE_IMAGES = 256
BATCH = 50


def load(path: Path) -> Graph:
    with tempfile.TemporaryDirectory() as folder:
        return LowerMean().run(Graph.load(import_model(path, Path(folder) / "model.onnx").path), {})[0]


def classes(graph: Graph, dataset: Dataset, indices: list[int], spec: Preprocess) -> np.ndarray:
    """First class of each image on ONNX Runtime."""
    with registry.get("onnxruntime").load(graph.to_bytes(), 1) as session:
        outputs = (
            session.run({graph.inputs[0]: batch})[graph.outputs[0]] for batch in batches(dataset, indices, spec, BATCH)
        )
        return np.concatenate([output.argmax(1) for output in outputs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("original", type=Path)
    parser.add_argument("student", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="labelled images")
    parser.add_argument("--preprocess", type=Path, required=True)
    args = parser.parse_args()
    spec, dataset, machine = load_preprocess(args.preprocess), open_dataset(args.data), this_machine()
    if dataset.labels is None:
        raise SystemExit(f"{args.data} has no labels")
    learned = set(seen_before(dataset, range(len(dataset)), trained_on(args.student) or frozenset()))
    rest = [index for index in range(len(dataset)) if index not in learned]
    ranges, scored = list(batches(dataset, rest[:RANGE_IMAGES], spec, BATCH)), rest[RANGE_IMAGES:]
    labels = np.asarray(dataset.labels)[scored]
    scheme = scheme_for(machine.isa)
    meter = RealMeter(ranges[:1], scheme, machine, 1, print, 3.0)
    print(f"{len(scored):,} images; {len(learned)} left out because the student has learned from them")
    original = None
    for name, path in (("original", args.original), ("student", args.student)):
        graph = load(path)
        exact = classes(graph, dataset, scored, spec)
        rounded = classes(quantize(graph, ranges, scheme, 1), dataset, scored, spec)
        original = exact if original is None else original
        right, same = (
            " and ".join(f"{100 * np.mean(one == wanted):.2f} %" for one in (exact, rounded))
            for wanted in (labels, original)
        )
        print(f"{name}: right {right}, as the original {same} (float32 and 8 bits), {meter(graph):.3f} ms in 8 bits")


if __name__ == "__main__":
    main()
