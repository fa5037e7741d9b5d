"""What cannot be read is named; what is damaged is an error of ours, within the limits, and leaves nothing behind."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from ai_edge_litert import schema_py_generated as schema

from shoestring.base.child import ChildLimits
from shoestring.base.errors import ModelError
from shoestring.importers import import_model
from shoestring.importers.tflite import file as tflite_file
from shoestring.importers.tflite.child import translate
from tflite_files import SAME, TANH, TfliteNet


def read(data: bytes, folder: Path) -> dict[str, Any]:
    (folder / "in.tflite").write_bytes(data)
    return translate({"source": str(folder / "in.tflite"), "target": str(folder / "made.onnx"), "shapes": {}})


def refused(data: bytes, folder: Path, words: str) -> str:
    with pytest.raises(ModelError, match=words) as told:
        read(data, folder)
    assert not (folder / "made.onnx").exists()
    assert told.value.hint
    return str(told.value.hint)


def small(**changes: Any) -> TfliteNet:
    net = TfliteNet()
    x = net.input(1, 6, 6, 3)
    options = {"strideH": 1, "strideW": 1, "padding": SAME, **changes}
    y = net.add("CONV_2D", [x, net.weight(4, 3, 3, 3), net.weight(4)], (1, 6, 6, 4), options="Conv2DOptions", **options)
    flat = net.add("RESHAPE", [y, net.ints(1, 144)], (1, 144), options="ReshapeOptions")
    net.add("SOFTMAX", [flat], (1, 144), options="SoftmaxOptions", beta=1.0)
    return net


@pytest.mark.parametrize(
    ("kind", "custom", "words", "way_out"),
    [
        (
            "CUSTOM",
            b"TFLite_Detection_PostProcess",
            r"TFLite_Detection_PostProcess \(1\)",
            "without its post-processing",
        ),
        ("CUSTOM", b"edgetpu-custom-op", r"edgetpu-custom-op \(1\)", "compiled from"),
        ("CUSTOM", b"FlexErf", r"FlexErf \(1\)", "builtin operators only"),
        ("VAR_HANDLE", None, r"VAR_HANDLE \(1\)", "keeps a state"),
        ("NON_MAX_SUPPRESSION_V5", None, "NON_MAX_SUPPRESSION_V5", "cut the model before it"),
        ("WHILE", None, "WHILE", "export it to ONNX"),
    ],
)
def test_operators_are_refused_by_name_with_a_way_out(
    tmp_path: Path, kind: str, custom: bytes | None, words: str, way_out: str
) -> None:
    net = TfliteNet()
    net.add(kind, [net.input(1, 4)], (1, 4), custom=custom)
    assert way_out in refused(net.data(), tmp_path, words)


def test_every_missing_operator_is_named_at_once(tmp_path: Path) -> None:
    net = TfliteNet()
    x = net.input(1, 4)
    for kind in ("LSTM", "WHILE", "LSTM"):
        net.add(kind, [x], (1, 4))
    refused(net.data(), tmp_path, r"LSTM \(2\), WHILE \(1\)")


def test_options_that_change_the_function(tmp_path: Path) -> None:
    refused(small(fusedActivationFunction=TANH).data(), tmp_path, "operator 0, CONV_2D: the fused activation number 4")
    refused(small(strideH=0).data(), tmp_path, "a stride of 0")
    net = TfliteNet()
    pads = net.const([[0, 0], [1, 1]], np.int32)
    net.add("MIRROR_PAD", [net.input(2, 4), pads], (2, 6), options="MirrorPadOptions", mode=1)
    refused(net.data(), tmp_path, "repeats the edge")
    net = TfliteNet()
    inputs = [net.input(2, 4), net.ints(0, 0), net.ints(1, 1), net.ints(1, 1)]
    net.add("STRIDED_SLICE", inputs, (1, 1), options="StridedSliceOptions", ellipsisMask=1)
    refused(net.data(), tmp_path, "EllipsisMask")


def test_what_is_computed_while_it_runs(tmp_path: Path) -> None:
    net = TfliteNet()
    net.add("CONV_2D", [net.input(1, 6, 6, 3), net.input(4, 3, 3, 3)], (1, 6, 6, 4), options="Conv2DOptions")
    refused(net.data(), tmp_path, "its weights are computed while the model runs")


def test_open_axes_are_asked_for(tmp_path: Path) -> None:
    net = TfliteNet()
    net.add("RELU", [net.input(1, 1, 1, 3, signature=(-1, -1, -1, 3))], (1, 1, 1, 3))
    refused(net.data(), tmp_path, r"leaves the sizes along \[0, 2, 3\] open")
    net = TfliteNet()
    net.add("RELU", [net.input(1, 4, 4, 3, signature=(-1, 4, 4, 3))], (1, 4, 4, 3))
    read(net.data(), tmp_path)


def test_open_axes_that_are_given(tmp_path: Path) -> None:
    net = TfliteNet()
    net.add("RELU", [net.input(1, 1, 1, 3, signature=(-1, -1, -1, 3))], (1, 1, 1, 3), to={"signature": (-1, -1, -1, 3)})
    source = tmp_path / "in.tflite"
    source.write_bytes(net.data())
    model = import_model(source, tmp_path / "out.onnx", shapes={"t0": (1, 3, 8, 6)})
    assert model.outputs[0].shape == (1, 3, 8, 6)


def test_shapes_that_the_operators_do_not_give(tmp_path: Path) -> None:
    net = small()
    net.tensors[3].shape = np.asarray([1, 5, 6, 4], np.int32)
    refused(net.data(), tmp_path, "its shapes do not fit|states the shape|its result")
    net = TfliteNet()
    net.add("EXP", [net.input(2, 3)], (3, 2))
    refused(net.data(), tmp_path, r"states the shape \[3, 2\] for tensor 1 .*, but its operators give \[2, 3\]")


def broken() -> list[tuple[str, TfliteNet]]:
    found = []
    net = small()
    net.buffers[1].data = net.buffers[1].data[:-4]
    found.append((r"claims the shape \[4, 3, 3, 3\] of FLOAT32, 432 bytes, but the file holds 428", net))
    net = small()
    net.tensors[1].shape = np.asarray([2**15, 2**15, 3, 3], np.int32)
    found.append(("beyond 8 axes or", net))
    net = small()
    net.tensors[1].shape = np.asarray([-4, 3, 3, 3], np.int32)
    found.append(("beyond 8 axes or", net))
    net = small()
    net.tensors[1].buffer = 77
    found.append(("names buffer 77 of", net))
    net = small()
    net.operators[0].inputs = np.asarray([0, 99, 2], np.int32)
    found.append(("inputs of operator 0 are 3 numbers, some outside", net))
    net = small()
    net.operators[1].inputs = np.asarray([5, 4], np.int32)
    found.append(("is read before anything gives it", net))
    net = small()
    net.operators[1].outputs = net.operators[0].outputs
    found.append(("is given twice", net))
    net = small()
    net.operators[0].inputs = np.asarray([0], np.int32)
    found.append(("weights are computed|fewer inputs", net))
    net = small()
    net.tensors[0].type = schema.TensorType.COMPLEX64
    found.append(("holds values of the type COMPLEX64", net))
    net = small()
    net.inputs = []
    found.append(("the graph has no inputs", net))
    net = small()
    net.tensors[1].type = schema.TensorType.INT8
    net.buffers[1].data = net.buffers[1].data[:108]
    how = schema.QuantizationParametersT()
    how.scale, how.zeroPoint = np.asarray([0.1, -0.1, 0.1, 0.1], np.float32), np.zeros(4, np.int64)
    net.tensors[1].quantization = how
    found.append(("a scale not above zero", net))
    return found


@pytest.mark.parametrize(("words", "net"), broken())
def test_false_claims(tmp_path: Path, words: str, net: TfliteNet) -> None:
    refused(net.data(), tmp_path, words)


def test_damaged_files_give_our_errors_only(tmp_path: Path) -> None:
    """Cut anywhere, bytes changed, words set to extremes: an import, or a ModelError; nothing else gets out."""
    clean, chance, told = small().data(), random.Random(5), 0
    files = [clean[:size] for size in range(8, len(clean), 37)]
    for _ in range(400):
        data = bytearray(clean)
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(8, len(data) - 4)
            kind = chance.randrange(3)
            if kind == 0:
                data[place] ^= 1 << chance.randrange(8)
            elif kind == 1:
                data[place] = chance.randrange(256)
            else:
                data[place : place + 4] = chance.choice((b"\xff" * 4, b"\xff\xff\xff\x7f", bytes(4), b"\0\0\0\x80"))
        files.append(bytes(data))
    for data in files:
        try:
            read(data, tmp_path)
        except ModelError:
            told += 1
    assert 200 < told < len(files)


def test_a_reader_that_trusts_the_file_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite_file, "_BROKEN", ())
    clean = small().data()
    with pytest.raises(Exception) as told:
        for size in range(8, len(clean), 5):
            read(clean[:size], tmp_path)
    assert not isinstance(told.value, ModelError)


def test_through_the_child(tmp_path: Path) -> None:
    source = tmp_path / "in.tflite"
    source.write_bytes(small().data())
    first, second = (import_model(source, tmp_path / f"{name}.onnx") for name in "ab")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert first.source_sha256 == second.source_sha256
    assert first.inputs[0].shape == (1, 3, 6, 6) and first.outputs[0].shape == (1, 144)
    assert "read 3 operators from TensorFlow Lite" in first.notes
    source.write_bytes(small().data()[:300])
    with pytest.raises(ModelError, match="truncated or damaged"):
        import_model(source, tmp_path / "c.onnx")
    with pytest.raises(ModelError, match=r"limit of 0\.01 s"):
        import_model(source, tmp_path / "c.onnx", limits=ChildLimits(0.01))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx", "in.tflite"]
