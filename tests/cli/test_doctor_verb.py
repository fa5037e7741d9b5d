"""`shoestring doctor`: findings, what was not examined, targets, pre-processing, and its errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import tiny
from shoestring.diagnosis import DISEASES


def cases(data: dict) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for case in data["diagnosis"]["cases"]:
        found.setdefault(case["id"], []).append(case["finding"])
    return found


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny classifier with a channel that is NaN: right to import, useless to run."""
    weights = tiny.make_weights()
    weights["conv2.w"][3] = np.nan
    path = tmp_path_factory.mktemp("sick") / "sick.onnx"
    path.write_bytes(tiny.make_model(weights).SerializeToString())
    return path


def test_a_healthy_model_is_called_so_and_every_disease_is_accounted_for(cli, task):
    said = cli("doctor", task.model, "--data", task.data, "--target", "arm")
    assert said.code == 0
    assert said.out.startswith("tiny.onnx: no known disease was found\n")
    assert "0..1 RGB is assumed" in said.out
    data = cli("doctor", task.model, "--json").data
    named = {*data["diagnosis"]["healthy"], *(gap["id"] for gap in data["diagnosis"]["gaps"])}
    assert named == {one.id for one in DISEASES}
    assert all("--data" in gap["why"] for gap in data["diagnosis"]["gaps"])


def test_findings_are_shown_with_evidence_and_cure_and_the_exit_code_stays_0(cli, sick):
    said = cli("doctor", sick)
    assert said.code == 0
    assert "[harms] not-finite: NaN or infinity" in said.out
    assert "144 weights" in said.out  # 16 x 3 x 3, those of one channel
    assert "  cure: " in said.out and "not examined\n" in said.out


def test_a_wrong_pre_processing_is_found_with_labels(cli, task):
    words = ("doctor", task.model, "--data", task.data, "--json", "--input-size", "16x16")
    (one,) = cases(cli(*words, "--colour", "bgr").data)["preprocessing"]
    assert one["severity"] == "harms" and "0..1 RGB" in one["cure"]
    figures = one["evidence"][0]["figures"]
    assert figures["hits_of_best"] - figures["hits"] > 20 and figures["images"] == 64
    assert cases(cli(*words).data) == {}


def test_an_input_out_of_range_is_only_suggested_without_labels(cli, task):
    words = ("doctor", task.model, "--data", task.wild, "--json", "--input-size", "16x16")
    (one,) = cases(cli(*words, "--scale", "0.00001").data)["preprocessing"][:1]
    assert one["severity"] == "may harm"
    figures = one["evidence"][0]["figures"]
    assert figures["nats_of_best"] > figures["nats"] + 0.2 * math.log(3)
    assert cases(cli(*words).data) == {}


def test_labels_that_fit_nothing_are_said(cli, task, tmp_path):
    images, labels = tiny.make_images(64, 5)
    np.savez(tmp_path / "shuffled.npz", images=images, labels=np.random.default_rng(0).permutation(labels))
    data = cli("doctor", task.model, "--data", tmp_path / "shuffled.npz", "--json").data
    assert "no usual pre-processing suits" in cases(data)["preprocessing"][0]["evidence"][0]["seen"]
    assert any("no pre-processing is known" in gap["why"] for gap in data["diagnosis"]["gaps"])


def test_a_fixed_batch_is_filled_up_and_named(cli, task, tmp_path):
    model = tmp_path / "four.onnx"
    model.write_bytes(tiny.make_model(batch=4).SerializeToString())
    data = cli("doctor", model, "--data", task.data, "--limit", 50, "--json").data
    assert cases(data)["open-shapes"][0]["evidence"][0]["figures"] == {"batch": 4.0}
    assert [gap for gap in data["diagnosis"]["gaps"] if gap["id"] != "outside-operators"] == []


@pytest.mark.parametrize(
    ("target", "isa"),
    [
        ("x86", ["avx2", "fma", "sse4_1"]),
        ("raspberry-pi-5", ["asimd", "asimddp"]),
        ("avx2,avx_vnni", ["avx2", "avx_vnni"]),
    ],
)
def test_a_target_is_a_family_a_board_or_instruction_sets(cli, task, target, isa):
    assert cli("doctor", task.model, "--target", target, "--json").data["target"]["isa"] == isa


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("--target", "avx3"), 2, "no target and no instruction set"),
        (("--colour", "bgr", "--input-size", "16x16"), 2, "without images"),
        (("--data", "{data}", "--input-size", "8x8"), 1, "takes float32"),
        (("--data", "{data}", "--limit", "0"), 1, "limit of 0"),
    ],
)
def test_wrong_words_are_one_clear_error(cli, task, words, code, part):
    said = cli("doctor", task.model, *(word.format(data=task.data) for word in words))
    assert said.code == code
    assert said.out == ""
    assert part in said.err and "  hint: " in said.err and "Traceback" not in said.err


def test_a_model_that_is_not_there_is_one_error(cli, tmp_path):
    said = cli("doctor", tmp_path / "none.onnx")
    assert said.code == 1 and said.out == ""
    assert "none.onnx" in said.err and "  hint: " in said.err


def test_the_text_names_the_worst_places_and_all_of_them_on_demand(cli, tmp_path):
    weights = tiny.make_weights()
    weights["conv2.w"][:20] = 0
    weights["conv1.w"][:3] = 0
    model = tmp_path / "dead.onnx"
    model.write_bytes(tiny.make_model(weights).SerializeToString())
    said = cli("doctor", model)
    assert "[note] dead-channels" in said.out and "23 of 51 output channels" in said.out
    assert said.out.index("conv2: 20 of 32") < said.out.index("conv1: 3 of 16")
    assert cli("doctor", model, "--all").out == said.out  # two places are fewer than are cut
