"""The example networks, in float, in 8 bits and mixed, and what ONNX Runtime's own quantizer writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime.quantization as ort_quantization
import pytest

from native.front_helpers import kinds
from native.qdq_models import example_images, imported, on_ort, quantized
from shoestring.native.form import Program
from shoestring.native.front import read_program
from shoestring.native.interpret import run


def compare(program: Program, model: bytes, allowed: float, images: int = 2) -> None:
    """Outputs differ by no more than a share `allowed` of their spread."""
    side = program.values[program.inputs[0].value].shape[-1]
    (entry,), (exit_,) = program.inputs, program.outputs
    for image in example_images(images, side=side):
        feeds = {entry.name: image[None]}
        ours, theirs = run(program, feeds)[exit_.name], on_ort(model, feeds)[exit_.name]
        assert np.abs(ours - theirs).max() <= allowed * np.ptp(theirs)
        assert ours.argmax() == theirs.argmax()


def test_float() -> None:
    program = read_program(imported(), "net")
    assert set(kinds(program)) == {"Conv f32", "Binary f32", "Mean f32", "Linear f32"}
    compare(program, imported(), 1e-5)


@pytest.mark.parametrize("scheme", ["u8s8", "u8s7", "s8s8"])
def test_int8(scheme: str) -> None:
    model = quantized(scheme=scheme)
    program = read_program(model, "net")
    # The network has no operator in float but the reading of its image.
    assert set(kinds(program)) == {"Quantize i8", "Conv i8", "Binary i8", "Mean i8", "Reshape i8", "Linear f32"}
    assert kinds(program)["Quantize i8"] == 1
    assert program.notes == ()
    compare(program, model, 0.02)


def test_mixed() -> None:
    model = quantized(float_layers=4)
    program = read_program(model, "net")
    found = kinds(program)
    assert found["Conv f32"] == 4
    assert found["Dequantize f32"] == 4
    compare(program, model, 0.02)


def test_the_main_example() -> None:
    for model, allowed in ((imported("cifar10_main"), 1e-5), (quantized("cifar10_main"), 0.02)):
        compare(read_program(model, "net"), model, allowed, images=1)


def test_the_same_file_gives_the_same_program() -> None:
    first, second = (read_program(quantized(), "net") for _ in range(2))
    assert first.values == second.values
    assert [(type(a), a.name, a.inputs, a.output) for a in first.ops] == [
        (type(b), b.name, b.inputs, b.output) for b in second.ops
    ]


class _Reader(ort_quantization.CalibrationDataReader):
    def __init__(self, name: str) -> None:
        self.left = [{name: image[None]} for image in example_images(4)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self.left.pop() if self.left else None


@pytest.mark.parametrize("channels", [True, False])
@pytest.mark.parametrize("signed", [True, False])
def test_what_onnx_runtime_quantizes(tmp_path: Path, channels: bool, signed: bool) -> None:
    source, target = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    source.write_bytes(imported())
    kind = ort_quantization.QuantType.QInt8 if signed else ort_quantization.QuantType.QUInt8
    name = onnx.load_model_from_string(imported()).graph.input[0].name
    ort_quantization.quantize_static(
        source,
        target,
        _Reader(name),
        quant_format=ort_quantization.QuantFormat.QDQ,
        per_channel=channels,
        activation_type=kind,
        weight_type=ort_quantization.QuantType.QInt8,
    )
    model = target.read_bytes()
    program = read_program(target, "net")
    found = kinds(program)
    assert "Conv f32" not in found
    assert found["Conv i8"] == kinds(read_program(imported(), "net"))["Conv f32"]
    assert found["Quantize i8"] == 1
    compare(program, model, 0.05)
