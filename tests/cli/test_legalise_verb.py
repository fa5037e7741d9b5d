"""`shoestring legalise`: what it says of a model, what it writes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import nets
from coral_compiler import install
from rewriting import graph
from shoestring.compress.graph import Graph
from shoestring.compress.quantize import to_qdq
from shoestring.compress.scheme import scheme_named
from shoestring.legalise.same import check_same, random_feeds


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """Conv, LeakyRelu, Conv, SiLU: cut after the first layer."""
    rng = np.random.default_rng(5)
    weights = {
        name: rng.normal(0, 0.3, (4, channels, 3, 3)).astype(np.float32) for name, channels in (("w", 3), ("v", 4))
    }
    nodes = [
        ("Conv", ["x", "w"], ["a"], {"pads": [1] * 4}),
        ("LeakyRelu", ["a"], ["b"], {"alpha": 0.1}),
        ("Conv", ["b", "v"], ["c"], {"pads": [1] * 4}),
        ("Sigmoid", ["c"], ["s"], {}),
        ("Mul", ["c", "s"], ["y"], {}),
    ]
    path = tmp_path / "leaky.onnx"
    path.write_bytes(graph(nodes, weights, (1, 3, 8, 8)).to_bytes())
    return path


def test_a_model_for_the_edge_tpu(cli, leaky: Path, tmp_path: Path) -> None:
    out = tmp_path / "legal.onnx"
    said = cli("legalise", leaky, "--chip", "coral-dev-board", "-o", out)
    assert said.code == 0, said.err
    assert "cut         at LeakyRelu" in said.out and "1 of 5 operators" in said.out
    assert "leaky-as-max" in said.out and "6 of 6 operators" in said.out
    assert "not measured here" in said.out and "--chip coral-dev-board" in said.err
    before, after = Graph.load(leaky), Graph.load(out)
    check_same(before, after, random_feeds(before, 2))
    assert "LeakyRelu" not in {node.op_type for node in after.nodes}


def test_its_data(cli, leaky: Path, tmp_path: Path) -> None:
    said = cli("legalise", leaky, "--chip", "coral-dev-board", "--json")
    assert said.code == 0, said.err
    before, after = said.data["before"], said.data["after"]
    assert (before["mapped"], before["total"], after["mapped"], after["total"]) == (1, 5, 6, 6)
    assert before["operators"][1]["cures"] == ["leaky-as-max"] and before["first_outside"] == "n1_LeakyRelu"
    assert [one["rewrite"] for one in said.data["rewrites"]] == ["leaky-as-max"]
    assert said.data["measured"] is None and said.data["written"] is None and said.data["build"] is None
    assert said.data["sameness"]["largest"] < 1e-5


def test_a_model_for_the_jetson(cli, leaky: Path, tmp_path: Path) -> None:
    out = tmp_path / "nano.onnx"
    said = cli("legalise", leaky, "--chip", "jetson-nano-4gb", "-o", out, "--json")
    assert said.code == 0, said.err
    assert said.data["before"]["refused"] and not said.data["after"]["refused"]
    command = said.data["build"]["command"]
    assert "--onnx=nano.onnx" in command and "--fp16" in command and "--timingCacheFile=nano.cache" in command
    made = onnx.load(out)
    assert made.opset_import[0].version == 13
    onnx.checker.check_model(made, full_check=True)
    shown = cli("legalise", leaky, "--chip", "jetson-nano-4gb")
    assert "refused by" in shown.out and "trtexec" in shown.out and "no int8 units" in shown.out


def test_inputs_of_the_users_own_decide_about_fp16(cli, leaky: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, x=np.full((2, 3, 8, 8), 3e5, np.float32))
    said = cli("legalise", leaky, "--chip", "jetson-nano-4gb", "--inputs", inputs)
    assert said.code == 0, said.err
    assert "fp16 is left out" in said.out and "--fp16" not in said.out and "on 2 inputs given" in said.out


@pytest.mark.parametrize(("arrays", "words"), [({"image": (1, 3, 8, 8)}, "the model takes x"), ({"x": ()}, "examples")])
def test_inputs_that_do_not_fit(cli, leaky: Path, tmp_path: Path, arrays: dict, words: str) -> None:
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, **{name: np.zeros(shape, np.float32) for name, shape in arrays.items()})
    said = cli("legalise", leaky, "--chip", "jetson-nano-4gb", "--inputs", inputs)
    assert said.code == 1 and words in said.err


def test_a_replacement_says_how_far_it_moves_the_outputs(cli, leaky: Path) -> None:
    said = cli("legalise", leaky, "--chip", "coral-dev-board", "--replace", "silu-as-hardswish")
    assert said.code == 0, said.err
    assert "silu-as-hardswish" in said.out and "outputs move by up to" in said.out
    assert "of 3 inputs; shoestring fit" in said.out
    kept = cli("legalise", leaky, "--chip", "coral-dev-board", "--json")
    assert kept.data["changed"] is None


def test_channels_are_padded_when_asked(cli, leaky: Path) -> None:
    said = cli("legalise", leaky, "--chip", "coral-dev-board", "--pad-channels", "16", "--json")
    assert said.code == 0, said.err
    assert not any("channels of zeros" in note for note in said.data["notes"]), "Max with a x is not one of those alone"


def codes(path: Path) -> Path:
    weights = {"s": np.float32(0.1), "z": np.uint8(128)}
    nodes = [("QuantizeLinear", ["x", "s", "z"], ["q"], {}), ("DequantizeLinear", ["q", "s", "z"], ["y"], {})]
    path.write_bytes(graph(nodes, weights, (1, 3, 8, 8)).to_bytes())
    return path


@pytest.mark.parametrize(
    ("words", "code", "said_words"),
    [
        (("--chip", "raspberry-pi-5-4gb"), 2, "no accelerator whose operators are published"),
        (("--chip", "coral"), 2, "did you mean"),
        (("--chip", "coral-dev-board", "--replace", "x"), 2, "no rewrite 'x'"),
        (("--chip", "coral-dev-board", "--pad-channels", "1"), 2, "multiples of 1"),
        (("--chip", "coral-dev-board", "--tflite", "x.tflite"), 2, "needs a quantized model"),
    ],
)
def test_what_makes_no_sense_is_refused(cli, leaky: Path, words: tuple[str, ...], code: int, said_words: str) -> None:
    said = cli("legalise", leaky, *words)
    assert said.code == code and said_words in said.err


def test_a_quantized_model_is_not_rewritten(cli, tmp_path: Path) -> None:
    path = codes(tmp_path / "codes.onnx")
    said = cli("legalise", path, "--chip", "coral-dev-board", "-o", tmp_path / "out.onnx")
    assert said.code == 2 and "legalise the float model" in said.err and not (tmp_path / "out.onnx").exists()
    nano = cli("legalise", path, "--chip", "jetson-nano-4gb", "--json")
    assert nano.code == 0 and nano.data["before"]["refused"]


def test_a_quantized_model_becomes_full_integer_tflite(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ai_edge_litert", reason="the TFLite writer needs the package ai-edge-litert")
    workshop = nets.make_workshop(nets.residual_graph(), nets.images(16))
    made = to_qdq(workshop.original, workshop.ranges, scheme_named("s8s8"), frozenset())
    model, inputs, out = tmp_path / "int8.onnx", tmp_path / "inputs.npz", tmp_path / "camera.tflite"
    model.write_bytes(made.to_bytes())
    np.savez(inputs, image=nets.images(8))
    monkeypatch.setenv("PATH", str(tmp_path))
    said = cli("legalise", model, "--chip", "coral-dev-board", "--inputs", inputs, "--tflite", out)
    assert said.code == 0, said.err
    assert "9 of 9 operators" in said.out and "edgetpu_compiler is not installed" in said.out
    assert "logits is given out on 8-bit codes" in said.err and out.read_bytes()[4:8] == b"TFL3"
    monkeypatch.setenv("PATH", str(install(tmp_path / "bin").parent))
    called = cli("legalise", model, "--chip", "coral-dev-board", "--tflite", out, "--json")
    assert called.code == 0, called.err
    compiled = called.data["compiled"]
    assert compiled["version"] == "16.0.384591198" and compiled["streamed_bytes"] == round(3.23 * 1024**2)
    assert called.data["before"]["mapped"] == 8, "without inputs the last layer stays in floats"
    wrong = cli("legalise", model, "--chip", "orange-pi-5-8gb", "--tflite", out)
    assert wrong.code == 2 and "reads no TFLite" in wrong.err
