"""Models that have a disease, and their healthy twins; the importers and the examination are the real ones."""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from native.qdq_models import Sketch
from shoestring.base import canonical
from shoestring.base.errors import ModelError
from shoestring.diagnosis import DISEASES, Examination, examine, take_aim
from shoestring.diagnosis.findings import Finding, Item, Remark, Unexamined
from shoestring.domain.model import Model, TensorSpec
from shoestring.importers.onnx_child import normalise

SIDES = ("inputs", "outputs")
Batches = Sequence[dict[str, np.ndarray]]


def examined(model: bytes, *, target: str = "x86", batches: Batches | None = None) -> Examination:
    """A model on the table; `batches` are its inputs."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "patient.onnx"
        source.write_bytes(model)
        return examine(imported(source, Path(folder) / "model.onnx"), take_aim(target), batches=batches)


def imported(source: Path, target: Path) -> Model:
    """What the importers make of a file, in this process: a child for each of a hundred models takes a minute."""
    reply = normalise({"source": str(source), "target": str(target), "batch_free": True, "shapes": {}})
    ports = [
        tuple(canonical.convert(one, TensorSpec, ModelError) for one in canonical.plain(reply[side])) for side in SIDES
    ]
    sha256 = hashlib.sha256(target.read_bytes()).hexdigest()
    return Model(target, sha256, source.name, reply["source_sha256"], reply["opset"], *ports, tuple(reply["notes"]))


def look(disease: str, examination: Examination) -> list[Item]:
    return list(next(one for one in DISEASES if one.id == disease).look(examination))


def findings(disease: str, examination: Examination) -> list[Finding]:
    return [item for item in look(disease, examination) if isinstance(item, Finding)]


def gaps(disease: str, examination: Examination) -> list[str]:
    return [item.why for item in look(disease, examination) if isinstance(item, Unexamined)]


def remarks(disease: str, examination: Examination) -> list[str]:
    return [item.words for item in look(disease, examination) if isinstance(item, Remark)]


def images(*shape: int, seed: int = 5, scale: float = 1.0) -> Batches:
    return [{"x": (np.random.default_rng(seed).normal(0, scale, shape)).astype(np.float32)}]


def float_net(*, depthwise: np.ndarray | None = None, mix: np.ndarray | None = None) -> bytes:
    """Conv 3 -> 8, ReLU, depthwise, ReLU, pointwise, mean, Gemm: a healthy network of 16 x 16 pixels.

    Args:
        depthwise: weights (8, 1, 3, 3) in place of random ones.
        mix: weights (8, 8, 1, 1) of the pointwise layer.
    """
    sketch = Sketch("n", 3, 16, 16)
    first = sketch.add("Relu", sketch.add("Conv", "x", sketch.normal(8, 3, 3, 3), sketch.normal(8), pads=[1] * 4))
    filters = sketch.normal(8, 1, 3, 3) if depthwise is None else sketch.constant(depthwise, "float32")
    second = sketch.add("Relu", sketch.add("Conv", first, filters, sketch.normal(8), pads=[1] * 4, group=8))
    third = sketch.add("Conv", second, sketch.normal(8, 8, 1, 1) if mix is None else sketch.constant(mix, "float32"))
    pooled = sketch.add("Flatten", sketch.add("GlobalAveragePool", third))
    return sketch.bytes(sketch.add("Gemm", pooled, sketch.normal(8, 5), sketch.normal(5)))


def quantized_conv(codes: np.ndarray, *, groups: int = 1, scale: object = 0.01, activation: str = "uint8") -> bytes:
    """One Conv on `codes` (int8) with 8-bit activations around it; the input has groups x codes.shape[1] channels."""
    sketch = Sketch(1, codes.shape[1] * groups, 8, 8)
    zero = 0 if activation == "int8" else 128
    entry = sketch.pair("x", 0.02, zero, activation)
    scales = np.asarray(scale, np.float32)
    axis = {} if scales.ndim == 0 else {"axis": 0}
    held = (sketch.constant(codes, "int8"), sketch.constant(scales), sketch.constant(np.zeros(scales.shape), "int8"))
    weight = sketch.add("DequantizeLinear", *held, **axis)
    made = sketch.add("Conv", entry, weight, pads=[1] * 4, group=groups)
    return sketch.bytes(sketch.pair(made, 0.1, zero, activation))


def single(build: Callable[[Sketch], str], *shape: int | str) -> bytes:
    """A model whose only output is what `build` makes."""
    sketch = Sketch(*shape)
    return sketch.bytes(build(sketch))


def activated(operator: str) -> bytes:
    """An activation between two convolutions; 4 x 8 x 8 elements."""

    def build(s: Sketch) -> str:
        held = s.add(operator, s.add("Conv", "x", s.normal(4, 3, 3, 3)))
        return s.add("Conv", held, s.normal(4, 4, 1, 1))

    return single(build, 1, 3, 10, 10)


@functools.cache
def healthy() -> bytes:
    return float_net()
