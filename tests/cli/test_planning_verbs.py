"""`predict` and `chips --for` as their users run them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

MODEL = Path(__file__).parents[2] / "examples" / "cifar10_main.onnx"


@pytest.fixture
def open_model(tmp_path: Path) -> Path:
    """A convolution whose image size is open."""
    weight = numpy_helper.from_array(np.zeros((8, 3, 3, 3), np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w_"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, None, None])],
        [weight],
    )
    path = tmp_path / "open.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_predict_gives_every_figure_its_interval_and_ground(cli) -> None:
    said = cli("predict", MODEL, "--chip", "raspberry-pi-4b-4gb", "--json")
    assert said.code == 0
    best = said.data["prediction"]["best"]
    for name in ("latency", "rate", "memory", "energy", "price"):
        figure = best[name]
        assert figure["low"] < figure["value"] < figure["high"], name
        assert figure["rests_on"] and figure["protocol"], name
    assert {one["chip"] for one in said.data["prediction"]["beside"]} == {"google-tpu-v5e", "nvidia-l4"}


def test_predict_draws_the_heat(cli, tmp_path: Path) -> None:
    hot = ("--minutes", "10", "--ambient", "35", "--cooling", "bare", "--battery-wh", "20")
    said = cli("predict", MODEL, "--chip", "raspberry-pi-4b-4gb", *hot, "--plot", tmp_path / "h.svg")
    assert said.code == 0
    assert re.search(r"throttles +after \d+ s", said.out) and re.search(r"battery +\d", said.out)
    drawn = (tmp_path / "h.svg").read_text()
    assert drawn.count("<polyline") >= 2 and "slows from 80" in drawn
    cool = cli("predict", MODEL, "--chip", "raspberry-pi-4b-4gb", "--minutes", "10", "--fps", "5", "--ambient", "20")
    assert re.search(r"throttles +never", cool.out)


def test_what_cannot_be_run_on_a_chip_is_said(cli) -> None:
    said = cli("predict", MODEL, "--chip", "raspberry-pi-4b-4gb", "--runtime", "tensorrt")
    assert said.code == 2 and "tensorrt" in said.err and "ncnn fp32" in said.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--chip", "rasberry-pi-4b"), "did you mean raspberry-pi-"),
        (("--chip", "raspberry-pi-4b-4gb", "--minutes", "5", "--ambient", "95"), "ambient 95 C is outside"),
        (
            ("--chip", "raspberry-pi-4b-4gb", "--minutes", "5", "--cooling", "fan", "--battery-wh", "-1"),
            "battery of -1",
        ),
        (("--chip", "raspberry-pi-4b-4gb", "--threads", "99"), "99 threads are outside 1..4"),
        (("--chip", "raspberry-pi-4b-4gb", "--life-years", "0"), "a life of 0 years"),
        (("--chip", "raspberry-pi-4b-4gb", "--plot", "x.svg"), "add --minutes 30"),
        (("--chip", "raspberry-pi-4b-4gb", "--shape", "x=0x1"), "is not NAME=SIZES"),
        ((), "no chip was named"),
    ],
)
def test_bad_input_names_the_value_and_what_to_do(cli, flags: tuple[str, ...], words: str) -> None:
    said = cli("predict", MODEL, *flags)
    assert said.code == 2 and words in said.err


def test_an_open_shape_is_asked_for_and_taken(cli, open_model: Path) -> None:
    asked = cli("predict", open_model, "--chip", "raspberry-pi-4b-4gb")
    assert asked.code == 1 and "--shape x=1x3x" in asked.err
    given = cli("predict", open_model, "--chip", "raspberry-pi-4b-4gb", "--shape", "x=1x3x64x64", "--json")
    assert given.code == 0
    assert given.data["prediction"]["features"]["input"] == "64x64x3"


def test_a_chip_file_without_a_source_is_refused(cli, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('like = "raspberry-pi-4b-4gb"\nname = "mine"\nprice = { value = 3.0, unit = "USD" }\n')
    said = cli("predict", MODEL, "--chip", "mine", "--chip-file", path)
    assert said.code == 2 and "price has no source" in said.err


def test_chips_for_ranks_all_and_writes_the_page(cli, tmp_path: Path) -> None:
    page = tmp_path / "boards.html"
    job = ("--fps", "30", "--max-price", "100", "--ambient", "35")
    said = cli("chips", "--for", MODEL, *job, "--html", page, "--json")
    assert said.code == 0
    boards = said.data["boards"]
    assert len(boards) >= 25 and boards[0]["verdict"] == "yes"
    for board in boards:
        assert board["verdict"] == "yes" or board["reasons"], board["chip"]
    text = page.read_text()
    assert "<script" not in text and "http-equiv" in text
    for board in boards:
        assert board["title"] in text
    assert text.count("<svg") >= 4


def test_advice_needs_a_rate_and_no_name(cli) -> None:
    assert "--fps" in cli("chips", "--for", MODEL).err
    assert cli("chips", "show", "raspberry-pi-5-8gb", "--for", MODEL, "--fps", "3").code == 2
    assert "--fps -1" in cli("chips", "--for", MODEL, "--fps", "-1").err
