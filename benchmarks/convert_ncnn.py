"""What becomes of a network on ncnn: agreement with ONNX Runtime and speed, in each precision.

    python benchmarks/native_models.py --models cifar10_main,mobilenet_v2,efficientnet_lite0,yolov3_tiny
    python benchmarks/convert_ncnn.py

Reads NAME_fp32.onnx, NAME_int8.onnx and the photographs NAME_photos.npy that native_models.py has left; the CIFAR-10
demo is judged on the images of examples/cifar10. `from QDQ` compares int8 with the QDQ graph as written, node by node
in floats; `from fp32` compares with the float graph; both are the largest difference of an output as a part of the
largest output, and the root of the mean square as a part of that of the outputs. Latency: one thread, all in turn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from shoestring.convert.ncnn import convert
from shoestring.costmodel.interleave import Contestant, block_runs, run_rounds, summarise, warm_up
from shoestring.evaluate.dataset import open_dataset
from shoestring.inputs.image import tensor
from shoestring.inputs.spec import load_preprocess
from shoestring.runtimes import registry

Array = npt.NDArray[np.float32]
Answers = dict[str, Array]
Run = Callable[[Array], Answers]

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
DEMO = "cifar10_main"
NETS = (DEMO, "mobilenet_v2", "efficientnet_lite0", "yolov3_tiny")
PRECISIONS = ("fp32", "fp16", "int8")
WARM_MS, ROUNDS_MS = 2000.0, 8000.0
COLUMNS = "{:<20} {:<9} {:>6} {:>6}  {:<28} {:<16} {:<18} {}"
HEAD = COLUMNS.format("network", "", "MB", "made", "first class as fp32", "from QDQ", "from fp32", "latency")


@dataclass(frozen=True)
class Side:
    """A way to run a network, with what is known of it."""

    name: str
    run: Run
    size_bytes: int
    made_s: float


def images(folder: Path, name: str, limit: int) -> list[Array]:
    """Inputs of batch 1."""
    if name != DEMO:
        return [image[None] for image in np.load(folder / f"{name}_photos.npy")[:limit]]
    dataset, spec = open_dataset(EXAMPLES / "cifar10", limit=limit), load_preprocess(EXAMPLES / f"{DEMO}.toml")
    return [tensor(pixels, spec) for pixels in dataset.batches(range(len(dataset)), spec, 1)]


def loaded(runtime: str, model: Path | bytes) -> Run:
    """A session on one thread, as a function of its only input."""
    session = registry.get(runtime).load(model, 1)
    name = session.inputs[0].name
    return lambda image: session.run({name: image})


def as_written(model: Path) -> Run:
    """ONNX Runtime without its 8-bit kernels, which saturate on processors without VNNI."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    name = session.get_inputs()[0].name
    return lambda image: dict(zip(names, session.run(names, {name: image}), strict=True))


def on_ncnn(model: Path, precision: str) -> Side:
    start = time.perf_counter()
    data = convert(model, precision).data
    made_s = time.perf_counter() - start
    return Side(f"ncnn {precision}", loaded("ncnn", data), len(data), made_s)


def answers(run: Run, inputs: list[Array]) -> list[Answers]:
    return [run(image) for image in inputs]


def distance(found: list[Answers], wanted: list[Answers]) -> str:
    """Largest difference and root mean square, over all outputs, as parts of the wanted ones."""
    furthest, spread = 0.0, 0.0
    for name in wanted[0]:
        a, b = (np.stack([one[name] for one in side]) for side in (found, wanted))
        furthest = max(furthest, float(np.abs(a - b).max() / np.abs(b).max()))
        spread = max(spread, float(np.sqrt(((a - b) ** 2).mean() / (b**2).mean())))
    return f"{furthest:.2g} / {spread:.2g}"


def agreement(found: list[Answers], wanted: list[Answers]) -> str:
    """Of how many inputs the largest class is the same; nothing for a network that does not answer classes."""
    name = next(iter(wanted[0]))
    if wanted[0][name].ndim != 2 or len(wanted[0]) > 1:
        return "-"
    same = sum(int(a[name].argmax() == b[name].argmax()) for a, b in zip(found, wanted, strict=True))
    return f"{same} of {len(found)}"


def compare(folder: Path, name: str, limit: int) -> None:
    """Print the rows of one network."""
    inputs = images(folder, name, limit)
    floats, integers = folder / f"{name}_fp32.onnx", folder / f"{name}_int8.onnx"
    sides = [
        Side("ORT fp32", loaded("onnxruntime", floats), floats.stat().st_size, 0.0),
        Side("ORT int8", loaded("onnxruntime", integers), integers.stat().st_size, 0.0),
        *(on_ncnn(integers if precision == "int8" else floats, precision) for precision in PRECISIONS),
    ]
    exact, quantized = answers(sides[0].run, inputs), answers(as_written(integers), inputs)
    contestants = [Contestant(side.name, lambda side=side: side.run(inputs[0])) for side in sides]
    runs = {one.name: block_runs(warm_up(one.run, WARM_MS).median_ms) for one in contestants}
    rounds = run_rounds(contestants, runs, ROUNDS_MS)
    for side in sides:
        found = answers(side.run, inputs)
        timing = summarise(rounds, side.name, "ORT fp32", 1)
        near = distance(found, quantized) if side.name.endswith("int8") else ""
        made = f"{side.made_s:.1f} s" if side.made_s else ""
        same = agreement(found, exact)
        if near and same != "-":
            same = f"{same} (as QDQ: {agreement(found, quantized)})"
        latency = f"{timing.median_ms:.3g} ms, {1 / timing.ratio_to_original:.2f}x"
        row = (name, side.name, f"{side.size_bytes / 1e6:.2f}", made, same, near, distance(found, exact), latency)
        print(COLUMNS.format(*row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("~/.cache/shoestring/models"), help="of native_models.py")
    parser.add_argument("--models", default=",".join(NETS), help="names with commas between")
    parser.add_argument("--limit", type=int, default=500, help="images of the demo (the others have 16 photographs)")
    arguments = parser.parse_args()
    folder = arguments.folder.expanduser()
    print(f"ncnn {registry.get('ncnn').version()}, ONNX Runtime {onnxruntime.__version__}, one thread")
    print(HEAD)
    for name in arguments.models.split(","):
        if not (folder / f"{name}_int8.onnx").exists():
            raise SystemExit(f"{folder} holds no {name}_int8.onnx: run benchmarks/native_models.py --models {name}")
        compare(folder, name, arguments.limit)


if __name__ == "__main__":
    main()
