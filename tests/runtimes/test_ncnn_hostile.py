"""ncnn files made to harm: each is refused in words before ncnn sees it; changed ones never crash a process."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest

from ncnn_models import changed, tiny, tiny_model
from shoestring.base.child import ChildLimits, run_in_child
from shoestring.base.errors import ChildCrashedError, EngineError
from shoestring.base.limits import GIB, MAX_NCNN_HEAD_BYTES
from shoestring.domain.model import TensorSpec
from shoestring.runtimes import ncnn_check
from shoestring.runtimes.ncnn_file import MAGIC, NcnnFile, Port, pack, unpack

pytest.importorskip("ncnn", reason="the package ncnn is not installed")
from shoestring.runtimes.ncnn_cpu import NcnnRuntime

LIMITS = ChildLimits(seconds=120, memory_bytes=8 * GIB)
IMAGE = "Input i 0 1 in 0=8 1=4 2=2"
ROW = "Input i 0 1 in 0=64"
PLAIN = struct.pack("<I", 0)


def text(*lines: str, layers: int | None = None, blobs: int | None = None) -> str:
    """A text with true counts, or with those given."""
    tops = sum(int(line.split(" ")[3]) for line in lines) if blobs is None else blobs
    return "\n".join(["7767517", f"{len(lines) if layers is None else layers} {tops}", *lines, ""])


def floats(count: int) -> bytes:
    return np.ones(count, "<f4").tobytes()


def network(param: str, weights: bytes = b"", dims: tuple[int, ...] = (2, 4, 8)) -> NcnnFile:
    inputs = (Port(TensorSpec("x", "float32", dims), "in"),)
    return NcnnFile("fp32", inputs, (Port(TensorSpec("y", "float32", dims), "out"),), param, weights)


HOSTILE = {
    "a slice beyond its axis": (text(IMAGE, "Crop c 1 1 in out -23309=1,0 -23310=1,9000 -23311=1,0"), b"", "it cuts"),
    "an old slice": (text(IMAGE, "Crop c 1 1 in out 0=1 3=4"), b"", "must cut one axis"),
    "weights for another width": (text(ROW, "InnerProduct p 1 1 in out 0=10 2=64"), PLAIN + floats(64), "do not fit"),
    "weights cut off": (text(ROW, "InnerProduct p 1 1 in out 0=10 2=640"), PLAIN, "end at byte"),
    "weights left over": (text(IMAGE, "ReLU r 1 1 in out"), floats(1), "reads 0 bytes of weights; there are 4"),
    "no weights": (text(ROW, "InnerProduct p 1 1 in out 0=10 2=640"), b"", "the weights end before"),
    "weights of an unknown kind": (text(ROW, "InnerProduct p 1 1 in out 0=1 2=64"), b"abcd" + floats(64), "tagged"),
    "channels that do not fit": (
        text(IMAGE, "Convolution c 1 1 in out 0=1 1=3 11=3 2=1 12=1 3=1 13=1 6=900"), PLAIN + floats(900), "do not fit"
    ),
    "a kernel beyond its image": (
        text(IMAGE, "Convolution c 1 1 in out 0=1 1=9 11=1 2=1 12=1 3=1 13=1 6=18"), PLAIN + floats(18), "larger than"
    ),
    "no stride": (text(IMAGE, "Pooling p 1 1 in out 0=0 1=2 2=0 11=2 12=1 5=1"), b"", "parameter 2 is 0"),
    "weights from another blob": (
        text(IMAGE, "Convolution c 1 1 in out 0=1 1=1 11=1 2=1 12=1 3=1 13=1 6=2 19=1"), PLAIN + floats(2), "[19]"
    ),
    "an axis that is not there": (text(IMAGE, "Softmax s 1 1 in out 0=9 1=1"), b"", "parameter 0 is 9"),
    "an order that is not there": (text(IMAGE, "Permute p 1 1 in out 0=99"), b"", "parameter 0 is 99"),
    "a fraction for a count": (text(IMAGE, "Permute p 1 1 in out 0=1.00000000e+00"), b"", "whole number"),
    "other sides": (text(IMAGE, "Reshape r 1 1 in out 0=65"), b"", "same number of elements"),
    "negative padding": (text(IMAGE, "Padding p 1 1 in out 0=-100"), b"", "parameter 0 is -100"),
    "endless padding": (text(IMAGE, "Padding p 1 1 in out 0=16777216 1=16777216"), b"", "would make a blob"),
    "a huge constant": (text(IMAGE, "MemoryData m 0 1 out 0=65536 1=65536 2=65536"), b"", "would make a blob"),
    "linear from one column": (
        text("Input i 0 1 in 0=1 1=8 2=8", "Interp s 1 1 in out 0=2 3=16 4=16"), b"", "needs sides of 2"
    ),
    "blocks that do not fit": (text(IMAGE, "PixelShuffle p 1 1 in out 0=100"), b"", "do not make blocks"),
    "slopes that do not fit": (text(IMAGE, "PReLU p 1 1 in out 0=2000"), floats(2000), "slopes do not fit"),
    "a norm of another length": (text(ROW, "LayerNorm p 1 1 in out 0=100000"), floats(200000), "parameter 0 is 100000"),
    "blobs that do not broadcast": (
        text(IMAGE, "MemoryData m 0 1 m 0=3 1=3", "BinaryOp p 2 1 in m out"), floats(9), "do not broadcast"
    ),
    "blobs that do not multiply": (
        text(ROW, "Reshape r 1 1 in r 0=8 1=8", "MemoryData m 0 1 m 0=3 1=3", "MatMul p 2 1 r m out"), floats(9),
        "cannot be multiplied",
    ),
    "blobs that do not join": (
        text(IMAGE, "MemoryData m 0 1 m 0=3 1=3 2=300", "Concat p 2 1 in m out"), floats(2700), "side by side"
    ),
    "codes as floats": (text(IMAGE, "Quantize q 1 1 in q 0=1", "ReLU r 1 1 q out"), floats(1), "reads codes"),
    "codes as the answer": (text(IMAGE, "Quantize q 1 1 in out 0=1"), floats(1), "is (2, 4, 8)"),
    "a layer of another kind": (text(IMAGE, "DetectionOutput d 1 1 in out"), b"", "not among those known"),
    "a blob read twice": (text(IMAGE, "BinaryOp b 2 1 in in out"), b"", "read already"),
    "a blob never made": (text(IMAGE, "BinaryOp b 2 1 in no out"), b"", "not made before it"),
    "a loop": (text(IMAGE, "BinaryOp b 2 1 in out out"), b"", "not made before it"),
    "a blob made twice": (text(IMAGE, "Split s 1 2 in out out"), b"", "made twice"),
    "two layers of one name": (text(IMAGE, "ReLU i 1 1 in out"), b"", "two layers"),
    "too many tops": (text(IMAGE, "ReLU r 1 2 in out more"), b"", "it makes 2 blobs"),
    "no such output": (text(IMAGE, "ReLU r 1 1 in other"), b"", "output blob 'out' is not made"),
    "one more input": (text(IMAGE, "Input j 0 1 more 0=3", "ReLU r 1 1 in out"), b"", "inputs are ['in', 'more']"),
    "more layers than there are": (text(IMAGE, "ReLU r 1 1 in out", layers=20000), b"", "announces 20000 layers"),
    "more blobs than there are": (text(IMAGE, "ReLU r 1 1 in out", blobs=1), b"", "announces 1 blobs"),
    "a count without end": (text(IMAGE, "Split s 1 2000000000 in out", blobs=2), b"", "two counts"),
    "a parameter twice": (text(IMAGE, "ReLU r 1 1 in out 0=0.00000000e+00 0=0.00000000e+00"), b"", "twice"),
    "a parameter beyond the table": (text(IMAGE, "ReLU r 1 1 in out 77=1"), b"", "not in 0..31"),
    "an array shorter than it says": (text(IMAGE, "Crop c 1 1 in out -23309=9,1"), b"", "no array"),
    "a string": (text(IMAGE, 'Reshape r 1 1 in out 6="0w,1h"'), b"", "no number"),
    "not a number": (text(IMAGE, "ReLU r 1 1 in out 0=nan"), b"", "no number"),
    "a long name": (text(IMAGE, f"ReLU {'r' * 300} 1 1 in out"), b"", "must start with"),
    "blanks": (text(IMAGE, "ReLU  r 1 1 in out"), b"", "must start with"),
    "no text": ("", b"", "cut off"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_network_is_refused_in_words(name, capfd):
    param, weights, words = HOSTILE[name]
    found = network(param, weights, (64,) if "1 in 0=64" in param else (2, 4, 8))
    with pytest.raises(EngineError) as caught:
        NcnnRuntime().load(pack(found), 1)
    assert words in caught.value.message
    assert "\n" not in caught.value.message
    assert capfd.readouterr() == ("", "")


def test_without_the_check_ncnn_dies_of_one():
    """The check is needed: a convolution that believes its weights reads beyond its image."""
    param, weights, _ = HOSTILE["channels that do not fit"]
    with pytest.raises(ChildCrashedError, match="SIGSEGV"):
        run_in_child("ncnn_child:trusted", {"param": param, "weights": weights.hex(), "dims": [2, 4, 8]}, LIMITS)


def test_without_the_check_ncnn_answers_for_another():
    """... and an axis that is not there is passed over without a word."""
    param, weights, _ = HOSTILE["an axis that is not there"]
    request = {"param": param, "weights": weights.hex(), "dims": [2, 4, 8]}
    assert run_in_child("ncnn_child:trusted", request, LIMITS) == "code 0, 64.0"


def test_changed_files_are_refused_or_run_but_crash_nothing():
    """A fuzzer of the handmade network; most changes are seen, some give another network that is as sound."""
    request = {"seed": 5, "times": 1500, "model": None, "text_end": len(tiny_model()) - len(tiny().weights)}
    counts = run_in_child("ncnn_child:mutated", request, LIMITS)
    assert counts["refused"] > 300
    assert counts["loaded"] > 50


def test_changed_files_of_a_real_network_crash_nothing():
    pytest.importorskip("onnx", reason="making an ONNX model needs the package onnx")
    import nets
    from ncnn_sides import quantized
    from shoestring.convert.ncnn import convert

    model = nets.residual_net().SerializeToString()
    for precision in ("fp32", "int8"):
        given = quantized(model, {"image": nets.images(4)}) if precision == "int8" else model
        data = convert(given, precision).data
        found = unpack(data, "model")
        request = {"seed": 6, "times": 400, "model": data.hex(), "text_end": len(data) - len(found.weights)}
        counts = run_in_child("ncnn_child:mutated", request, LIMITS)
        assert counts["refused"] > 100
        assert counts["loaded"] > 20


@pytest.mark.parametrize("rule", ["BinaryOp", "InnerProduct"])
def test_a_layer_without_a_rule_cannot_be_loaded(rule, monkeypatch):
    """Everything is refused that no rule vouches for."""
    line = {"BinaryOp": "BinaryOp b 1 1 in out 0=0 1=1", "InnerProduct": "InnerProduct p 1 1 in out 0=64 2=4096"}[rule]
    weights = b"" if rule == "BinaryOp" else PLAIN + floats(4096)
    data = pack(network(text(ROW, line), weights, (64,)))
    NcnnRuntime().load(data, 1).close()
    monkeypatch.delitem(ncnn_check.RULES, rule)
    with pytest.raises(EngineError, match="not among those known"):
        NcnnRuntime().load(data, 1)


def head_of(length: int) -> bytes:
    return MAGIC + struct.pack("<I", length) + bytes(64)


FILES = {
    "no magic": (b"x" + tiny_model()[1:], "not an ncnn file"),
    "a head without end": (head_of(2**32 - 1), "announces a head"),
    "a head beyond the limit": (head_of(MAX_NCNN_HEAD_BYTES + 1) + bytes(MAX_NCNN_HEAD_BYTES), "announces a head"),
    "a head that is no JSON": (head_of(64), "head of"),
    "one byte more": (tiny_model() + b"\0", "its head tells of"),
    "one byte less": (tiny_model()[:-1], "its head tells of"),
    "another precision": (changed(tiny().param, precision="int4"), "precision 'int4'"),
    "no inputs": (changed(tiny().param, inputs=()), "0 inputs"),
    "two inputs of one name": (changed(tiny().param, inputs=tiny().inputs[:1] * 2), "one name"),
    "a port of another type": (
        changed(tiny().param, inputs=(Port(TensorSpec("a", "object", (3,)), "a"), tiny().inputs[1])), "is object"
    ),
    "a port without elements": (
        changed(tiny().param, inputs=(Port(TensorSpec("a", "float32", (0, 3)), "a"), tiny().inputs[1])), "above 0"
    ),
    "a port of another size": (
        changed(tiny().param, inputs=(Port(TensorSpec("a", "float32", (None, 4)), "a"), tiny().inputs[1])), "its blob"
    ),
    "an endless shape": (
        changed(tiny().param, inputs=(Port(TensorSpec("a", "float32", (3,) * 99), "a"), tiny().inputs[1])), "at most 8"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused_in_words(name, capfd):
    data, words = FILES[name]
    with pytest.raises(EngineError) as caught:
        NcnnRuntime().load(data, 1)
    assert words in caught.value.message
    assert capfd.readouterr() == ("", "")


def test_what_is_packed_is_unpacked():
    assert unpack(tiny_model(), "tiny") == tiny()
    assert pack(replace(tiny(), precision="fp16")) != tiny_model()
