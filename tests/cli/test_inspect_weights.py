"""`shoestring inspect` on files of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import weights_files
from shoestring.base import landlock, quarantine


def test_gguf_as_words_and_as_json(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "net.gguf").write_bytes(weights_files.gguf())
    said = cli("inspect", tmp_path / "net.gguf", "--layers")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[:3] == ["format        GGUF version 3", "architecture  llama", "tensors       3"]
    assert "stored as     F32 256 B, Q4_0 36 B, Q8_0 34 B" in lines
    assert any(
        line.startswith("tokenizer.ggml.tokens") and "20 STRING: word0, word1, word2, ..." in line for line in lines
    )
    assert any(line.split()[:3] == ["b.weight", "Q4_0", "2x32"] for line in lines)
    said = cli("inspect", tmp_path / "net.gguf", "--json")
    assert said.data["parameters"] == 160 and said.data["weights"]["architecture"] == "llama"
    assert said.data["weights"]["metadata"]["tokenizer.ggml.scores"]["count"] == 20


def test_safetensors_and_their_index(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "net.safetensors").write_bytes(weights_files.safetensors())
    assert "stored as     F32 32 B, BF16 16 B, U8 8 B" in cli("inspect", tmp_path / "net.safetensors").out
    names = [name for name in weights_files.TENSORS if name != "__metadata__"]
    index = {"weight_map": dict.fromkeys(names, "net.safetensors")}
    (tmp_path / "net.safetensors.index.json").write_text(json.dumps(index))
    said = cli("inspect", tmp_path / "net.safetensors.index.json", "--layers")
    assert "format        safetensors in 1 files" in said.out and "net.safetensors" in said.out.splitlines()[-1]


def test_words_of_a_file_cannot_move_the_cursor(cli: Any, tmp_path: Path) -> None:
    hostile = [
        ("general.architecture", weights_files.string("\x1b[2Jllama")),
        ("a", weights_files.string("x\x1b]0;owned\x07")),
    ]
    (tmp_path / "net.gguf").write_bytes(weights_files.gguf(pairs=hostile))
    said = cli("inspect", tmp_path / "net.gguf")
    assert said.code == 0 and "\x1b" not in said.out and "\x07" not in said.out


def test_a_damaged_file_is_one_clear_error(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "net.gguf").write_bytes(weights_files.gguf()[:100])
    said = cli("inspect", tmp_path / "net.gguf")
    assert said.code == 1 and said.err.startswith("error: ") and "Traceback" not in said.err


@pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")
def test_without_walls_it_says_so_or_refuses(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.gguf").write_bytes(weights_files.gguf())
    assert "cannot close" not in cli("inspect", tmp_path / "net.gguf", "--require-quarantine").err
    monkeypatch.setattr(quarantine, "ENTRY", "closed_targets:without_landlock")
    assert "cannot close a process: it is without Landlock" in cli("inspect", tmp_path / "net.gguf").err
    said = cli("inspect", tmp_path / "net.gguf", "--require-quarantine")
    assert said.code == 1 and "was not opened: this kernel" in said.err
