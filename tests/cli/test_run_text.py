"""`run`, `inspect` and `verify` of an encoder's bundle, and `fit` of an encoder, on the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

import text_fits
import tiny_encoder
from shoestring.cli.main import main
from shoestring.fitting.text import making, settling


def test_texts_files_folders_and_lines_are_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "1.txt").write_text("grass barley harvest meadow")
    monkeypatch.setattr("sys.stdin", io.StringIO("the oven\n\nthe stall\n"))
    words = [str(text_fits.bundle_of("probe")), "kettle spoon", str(tmp_path / "d"), "-", "--top", "2", "--json"]
    assert main(["run", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["text"] for row in found["answers"]] == ["kettle spoon", str(tmp_path / "d/1.txt"), "line 1", "line 3"]
    assert all(len(row["top"]) == 2 and not row["cut"] for row in found["answers"])


def test_a_cut_text_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(text_fits.bundle_of("probe")), "kettle " * 60]) == 0
    said = capsys.readouterr()
    assert "only the first 32 tokens were read" in said.out and "golden texts replayed" in said.err


def test_embeddings_are_whole_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(text_fits.bundle_of("embedding")), "kettle", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["answers"][0]["embedding"]) == tiny_encoder.WIDTH
    assert main(["run", str(text_fits.bundle_of("embedding")), "kettle"]) == 0
    assert f"kettle: {tiny_encoder.WIDTH} values" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["gone.txt"], ["a text", "--rung", "none"], ["a text", "--cascade"]])
def test_what_is_not_there_is_a_usage_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(text_fits.bundle_of("probe")), *words]) == 2
    assert "hint:" in capsys.readouterr().err


def test_inspect_and_verify_speak_of_texts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(text_fits.bundle_of("probe"))]) == 0
    said = capsys.readouterr().out
    assert "task: 3 classes of a text; at most 32 tokens" in said and "texts: " in said and "tokenizer" in said
    assert main(["verify", str(text_fits.bundle_of("embedding"))]) == 0


def test_fit_takes_an_encoder_by_its_tokenizer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "measure_all", text_fits.known_costs)
    monkeypatch.setattr(making, "PROBE_RUNS", 1)
    text_fits.probe_fit()
    root, out = text_fits.root(), tmp_path / "text.shoe"
    command = ["fit", str(root / "plain" / "model.onnx"), "--data", str(root / "texts"), "--runtimes", "onnxruntime"]
    command += ["--cache", str(root / "cache"), "--max-drop", "10pt", "-o", str(out), "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["text"]["max_tokens"] == 32 and found["chosen"] == text_fits.probe_fit().ladder.chosen
    assert out.exists()
    assert main([*command, "--student", "x.onnx"]) == 2
    assert "--student says nothing about an encoder" in capsys.readouterr().err
