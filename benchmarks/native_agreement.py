"""Whether a compiled int8 network answers as ONNX Runtime does, on real photographs.

    python benchmarks/photos.py --out PHOTOS
    python benchmarks/native_agreement.py --model X_int8.onnx --preprocess X.toml --data PHOTOS

Four sessions of one QDQ file: native, and ONNX Runtime with its optimisations (integer kernels), with basic ones and
with none (float kernels between explicit roundings). The table shows, for every pair, on how many photographs the
first class is the same, and the largest difference of an output as a part of the outputs' range.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from shoestring.chips.host import this_machine
from shoestring.evaluate.dataset import open_dataset
from shoestring.inputs.image import tensor
from shoestring.inputs.spec import load_preprocess
from shoestring.native.compiling import compile_library
from shoestring.native.targets import host_target
from shoestring.runtimes import registry

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

LEVELS = {
    "ORT, all optimisations": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "ORT, basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "ORT, none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="QDQ ONNX file, one image in, classes out")
    parser.add_argument("--preprocess", type=Path, required=True, help="TOML: from image to input")
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--limit", type=int, help="at most this many photographs")
    return parser.parse_args()


def answers(run: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]], args: argparse.Namespace) -> np.ndarray:
    """Outputs (photographs, classes)."""
    dataset, spec = open_dataset(args.data, limit=args.limit), load_preprocess(args.preprocess)
    found = []
    for pixels in dataset.batches(range(len(dataset.hashes)), spec, 1):
        found.append(run(tensor(pixels, spec)))
    return np.concatenate(found)


def ort(model: Path, level: object) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: np.asarray(session.run(None, {name: x})[0], np.float32)


def main() -> None:
    args = arguments()
    machine = this_machine()
    target = host_target(machine.isa, machine.arch)
    with tempfile.TemporaryDirectory(prefix="shoestring-benchmark-") as scratch:
        library = compile_library(args.model, "agreement", target, 1, Path(scratch) / "agreement.so").path
        with registry.get("native").load(library, 1) as session:
            source, result = session.inputs[0].name, session.outputs[0].name
            outputs = {f"native, {target.name}": answers(lambda x: session.run({source: x})[result], args)}
    for name, level in LEVELS.items():
        outputs[name] = answers(ort(args.model, level), args)
    first = next(iter(outputs.values()))
    spread = max(float(one.max() - one.min()) for one in outputs.values())
    print(f"{args.model.name}: {len(first)} photographs, outputs span {spread:.3g}")
    for (a, x), (b, y) in itertools.combinations(outputs.items(), 2):
        same = np.mean(x.argmax(axis=1) == y.argmax(axis=1))
        print(
            f"  {a:30s} {b:24s} same class {100 * same:6.2f} %, largest difference {np.abs(x - y).max() / spread:.3%}"
        )


if __name__ == "__main__":
    main()
