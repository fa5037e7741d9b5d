"""`shoestring import` of Hugging Face folders on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hf_decoders
import hf_folders
from shoestring.importers.gguf.header import read_header


def test_an_encoder_becomes_onnx_and_says_what_it_is(cli: Any, tmp_path: Path) -> None:
    folder = hf_folders.encoder(tmp_path / "model", "distilbert-classifier")
    said = cli("import", folder, "-o", tmp_path / "a.onnx")
    assert said.code == 0, said.err
    assert "kind      classification, texts of at most 20 tokens" in said.out and "bad, fair, good" in said.out
    assert "output    logits: float32 ? x 3" in said.out and f"wrote {tmp_path / 'a.onnx'}" in said.err


def test_a_model_that_writes_becomes_gguf(cli: Any, tmp_path: Path) -> None:
    folder = hf_decoders.decoder(tmp_path / "model", "qwen3")
    said = cli("import", folder, "-o", tmp_path / "a.gguf", "--json")
    assert said.code == 0, said.err
    assert said.data["weights"]["architecture"] == "qwen3"
    assert read_header(tmp_path / "a.gguf").parameters == 105_664
    said = cli("import", folder, "-o", tmp_path / "b.gguf", "--pooling", "cls")
    assert said.code == 2 and "--pooling is for an encoder" in said.err


def test_the_wrong_kind_of_file_is_refused_with_the_right_one(cli: Any, tmp_path: Path) -> None:
    folder = hf_folders.encoder(tmp_path / "encoder", "bert")
    said = cli("import", folder, "-o", tmp_path / "a.gguf")
    assert said.code == 1 and "'bert', which is not read" in said.err and "--out model.onnx" in said.err
    said = cli("inspect", folder)
    assert said.code == 1 and "a folder of Hugging Face" in said.err and "-o model.gguf" in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder"]
