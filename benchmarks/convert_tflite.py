"""Our quantized graphs beside their TFLite files: the same codes or not, operator by operator and network by network.

    python benchmarks/native_models.py --out MODELS        # writes NAME_fp32.onnx, NAME_int8.onnx, NAME_photos.npy
    python benchmarks/convert_tflite.py --models MODELS

Operators: random codes through one operator between codes, in ROUNDS random scales; how many codes of the answer differ
from those of ONNX Runtime when it works node by node. Networks: the photographs that stand beside the models, against
ONNX Runtime with all its optimisations. Needs onnx, onnxruntime and the extra litert.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from onnx import TensorProto, helper, numpy_helper

from shoestring.base.errors import ModelError
from shoestring.convert.tflite import convert
from shoestring.runtimes import registry
from shoestring.runtimes.litert_ports import METADATA, read_ports

ROUNDS = 20
KINDS = ("fp32", "int8", "int8float")
SIDE, CHANNELS = 16, 16
EQUAL = 1e-6
"""Of an output's spread: classifiers answer sums of floats, whose order differs."""

Array = np.ndarray[Any, Any]


@dataclass
class Piece:
    """One operator between codes, as a graph in QDQ form whose input and output are uint8."""

    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self.inputs: list[str] = []

    def constant(self, value: Any, dtype: str) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=f"n{len(self.nodes)}", **attributes))
        return name

    def codes(self) -> str:
        """An input of codes, dequantized by a random scale."""
        name = f"x{len(self.inputs)}"
        self.inputs.append(name)
        scale = self.constant(10.0 ** self.rng.uniform(-2.0, -1.0), "float32")
        return self.add("DequantizeLinear", name, scale, self.constant(self.rng.integers(60, 200), "uint8"))

    def weight(self, *shape: int) -> str:
        scales = self.constant(self.rng.uniform(0.002, 0.01, shape[0]), "float32")
        values = self.constant(self.rng.integers(-63, 64, shape), "int8")
        return self.add("DequantizeLinear", values, scales, self.constant(np.zeros(shape[0]), "int8"), axis=0)

    def graph(self, result: str, low: float, high: float) -> bytes:
        """The whole file; the result's range becomes codes."""
        scale = np.float32((high - min(low, 0.0)) / 255)
        zero = int(np.clip(np.rint(-min(low, 0.0) / scale), 0, 255))
        last = self.add("QuantizeLinear", result, self.constant(scale, "float32"), self.constant(zero, "uint8"))
        shape = (1, CHANNELS, SIDE, SIDE)
        made = helper.make_graph(
            self.nodes,
            "piece",
            [helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name in self.inputs],
            [helper.make_tensor_value_info(last, TensorProto.UINT8, None)],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return bytes(model.SerializeToString())


def gated(piece: Piece, gate: str, **attributes: Any) -> str:
    x = piece.codes()
    return piece.add("Mul", x, piece.add(gate, x, **attributes))


def resized(piece: Piece) -> str:
    scales = piece.constant([1, 1, 2, 2], "float32")
    return piece.add("Resize", piece.codes(), "", scales, mode="linear", coordinate_transformation_mode="half_pixel")


OPERATORS: dict[str, Callable[[Piece], str]] = {
    "Conv 3x3": lambda p: p.add("Conv", p.codes(), p.weight(CHANNELS, CHANNELS, 3, 3), pads=[1] * 4),
    "Conv depthwise": lambda p: p.add("Conv", p.codes(), p.weight(CHANNELS, 1, 3, 3), group=CHANNELS, pads=[1] * 4),
    "Add": lambda p: p.add("Add", p.codes(), p.codes()),
    "Mul": lambda p: p.add("Mul", p.codes(), p.codes()),
    "Concat, another scale": lambda p: p.add("Concat", p.codes(), p.codes(), axis=1),
    "GlobalAveragePool": lambda p: p.add("GlobalAveragePool", p.codes()),
    "AveragePool 3x3, counts differ": lambda p: p.add("AveragePool", p.codes(), kernel_shape=[3, 3], pads=[1] * 4),
    "AveragePool 2x2": lambda p: p.add("AveragePool", p.codes(), kernel_shape=[2, 2], strides=[2, 2]),
    "MaxPool 3x3": lambda p: p.add("MaxPool", p.codes(), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
    "MatMul": lambda p: p.add("MatMul", p.codes(), p.codes()),
    "LeakyRelu": lambda p: p.add("LeakyRelu", p.codes(), alpha=0.1),
    "HardSwish": lambda p: p.add("HardSwish", p.codes()),
    "HardSigmoid": lambda p: p.add("HardSigmoid", p.codes(), alpha=1 / 6, beta=0.5),
    "SiLU": lambda p: gated(p, "Sigmoid"),
    "Sigmoid": lambda p: p.add("Sigmoid", p.codes()),
    "Tanh": lambda p: p.add("Tanh", p.codes()),
    "Softmax": lambda p: p.add("Softmax", p.codes(), axis=1),
    "Resize linear": resized,
}


def on_ort(model: bytes, feeds: dict[str, Array], level: Any) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level, options.intra_op_num_threads = level, 1
    return list(onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"]).run(None, feeds))


SINGLE, WHOLE = (
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
)


def on_litert(data: bytes, feeds: dict[str, Array], resolver: Any = OpResolverType.BUILTIN) -> list[Array]:
    """Answers in the graph's order of axes, by XNNPACK or by the kernels that `resolver` names; one example."""
    interpreter = Interpreter(model_content=data, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    inputs, outputs = _ports(data)
    for port, detail in zip(inputs, interpreter.get_input_details(), strict=True):
        interpreter.set_tensor(detail["index"], np.ascontiguousarray(feeds[port.name].transpose(port.layout)))
    interpreter.invoke()
    details = interpreter.get_output_details()
    return [interpreter.get_tensor(d["index"]).transpose(p.back()) for p, d in zip(outputs, details, strict=True)]


def _ports(data: bytes) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data, 0)
    entries = (model.Metadata(place) for place in range(model.MetadataLength()))
    found = next(entry for entry in entries if entry.Name() == METADATA.encode())
    return read_ports(model.Buffers(found.Buffer()).DataAsNumpy().tobytes())


def operators() -> None:
    print("| operator between codes | LiteRT | for integers alone | its reference kernels | ONNX Runtime, optimised |")
    print("|---|---|---|---|---|")
    for name, build in OPERATORS.items():
        gaps: dict[str, list[Array]] = {"usual": [], "integer": [], "reference": [], "whole": []}
        for number in range(ROUNDS):
            rng = np.random.default_rng(number)
            model, feeds = _piece(build, rng)
            wanted = on_ort(model, feeds, SINGLE)[0]
            usual, integer = convert(model).data, convert(model, integer=True).data
            answers = {
                "usual": on_litert(usual, feeds)[0],
                "integer": on_litert(integer, feeds)[0],
                "reference": on_litert(integer, feeds, OpResolverType.BUILTIN_REF)[0],
                "whole": on_ort(model, feeds, WHOLE)[0],
            }
            for key, found in answers.items():
                gaps[key].append(np.abs(found.astype(int) - wanted.astype(int)).reshape(-1))
        print(f"| {name} | " + " | ".join(_cell(np.concatenate(gap)) for gap in gaps.values()) + " |", flush=True)


def _piece(build: Callable[[Piece], str], rng: np.random.Generator) -> tuple[bytes, dict[str, Array]]:
    """A graph whose result just fills its codes, and its feeds."""
    state = rng.bit_generator.state
    piece = Piece(rng)
    result = build(piece)
    feeds = {name: rng.integers(0, 256, (1, CHANNELS, SIDE, SIDE)).astype(np.uint8) for name in piece.inputs}
    graph = helper.make_graph(
        piece.nodes,
        "float",
        [helper.make_tensor_value_info(name, TensorProto.UINT8, feeds[name].shape) for name in piece.inputs],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in piece.constants.items()],
    )
    float_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    reals = on_ort(float_model.SerializeToString(), feeds, SINGLE)[0]
    rng.bit_generator.state = state
    piece = Piece(rng)
    return piece.graph(build(piece), float(reals.min()), float(reals.max())), feeds


def _cell(gap: Array) -> str:
    share = float((gap > 0).mean())
    return "equal" if share == 0 else f"{100 * share:.2g} %, at most {int(gap.max())}"


def networks(folder: Path, photos: int) -> None:
    print("\n| network | outputs equal | largest difference | same class | integers alone | ", end="")
    print("node by node | LiteRT ms | ONNX Runtime ms |\n|---|---|---|---|---|---|---|---|")
    for path in sorted(folder.glob("*.onnx")):
        name, _, kind = path.stem.rpartition("_")
        if kind in KINDS and (folder / f"{name}_photos.npy").exists():
            pictures = np.load(folder / f"{name}_photos.npy")[:photos]
            try:
                print(f"| {name} {kind} | {_network(path.read_bytes(), pictures, kind)} |", flush=True)
            except ModelError as error:
                print(f"| {name} {kind} | cannot go: {error.message} |", flush=True)


def _network(model: bytes, pictures: Array, kind: str) -> str:
    data = convert(model).data
    integer = convert(model, integer=True).data if kind != "fp32" else data
    (entry,) = (spec.name for spec in registry.get("onnxruntime").load(model, 1).inputs)
    rows: dict[str, list[Array]] = {"whole": [], "usual": [], "integer": [], "single": []}
    for picture in pictures:
        feeds = {entry: picture[None]}
        rows["whole"].append(_flat(on_ort(model, feeds, WHOLE)))
        rows["usual"].append(_flat(on_litert(data, feeds)))
        rows["integer"].append(_flat(on_litert(integer, feeds)))
        rows["single"].append(_flat(on_ort(model, feeds, SINGLE)))
    wanted, *others = (np.stack(row) for row in rows.values())
    gaps = [float(np.abs(found - wanted).max() / np.ptp(wanted)) for found in others]
    same = float((np.abs(others[0] - wanted) <= EQUAL * np.ptp(wanted)).mean())
    classes = float((others[0].argmax(axis=1) == wanted.argmax(axis=1)).mean())
    feeds = {entry: pictures[:1]}
    times = [_milliseconds(name, file, feeds) for name, file in (("litert", data), ("onnxruntime", model))]
    parts = [f"{gap:.1e}" for gap in gaps]
    return (
        f"{100 * same:.4g} % | {parts[0]} | {100 * classes:.4g} % | {parts[1]} | {parts[2]} | "
        f"{times[0]:.3g} | {times[1]:.3g}"
    )


def _flat(answers: list[Array]) -> Array:
    return np.concatenate([answer.reshape(-1) for answer in answers])


def _milliseconds(runtime: str, model: bytes, feeds: dict[str, Array], seconds: float = 2.0) -> float:
    """Median of warm runs on one thread."""
    with registry.get(runtime).load(model, 1) as session:
        taken: list[float] = []
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            before = time.perf_counter()
            session.run(feeds)
            taken.append(1e3 * (time.perf_counter() - before))
    return float(np.median(taken[len(taken) // 4 :]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("~/.cache/shoestring/models"))
    parser.add_argument("--photos", type=int, default=8)
    given = parser.parse_args()
    operators()
    networks(given.models.expanduser(), given.photos)


if __name__ == "__main__":
    main()
