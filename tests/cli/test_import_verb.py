"""`shoestring import` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tiny
from shoestring.base import landlock
from shoestring.base.errors import UsageError
from shoestring.cli.import_verb import parse_shape


def test_onnx_is_normalised_and_described_as_words_and_as_json(cli: Any, task: tiny.Task, tmp_path: Path) -> None:
    said = cli("import", task.model, "-o", tmp_path / "a.onnx")
    assert said.code == 0, said.err
    assert "input     image: float32 ? x 3 x 16 x 16" in said.out
    assert f"wrote {tmp_path / 'a.onnx'}" in said.err
    said = cli("import", task.model, "-o", tmp_path / "b.onnx", "--fixed-batch", "--json")
    assert said.data["inputs"][0]["shape"] == [1, 3, 16, 16]
    assert (tmp_path / "b.onnx").exists()


def test_a_shape_may_leave_the_batch_open() -> None:
    assert parse_shape("x=Nx3x224x224") == ("x", (None, 3, 224, 224))
    assert parse_shape("a=b=2x4") == ("a=b", (2, 4))
    for text in ("x", "x=", "=1x3", "x=0x3", "x=1x-3", "x=1xQ", "x=1x²"):
        with pytest.raises(UsageError, match="is not NAME=SIZES"):
            parse_shape(text)


def test_a_pickle_is_refused_until_it_is_asked_for(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"\x80\x02}q\x00.")
    said = cli("import", tmp_path / "net.pth", "-o", tmp_path / "a.onnx")
    assert said.code == 1 and "which can run any code when it is opened" in said.err
    assert "shoestring import --allow-pickle" in said.err


def test_a_pickled_module_is_written_when_asked(cli: Any, tmp_path: Path) -> None:
    if landlock.abi() == 0:
        pytest.skip("this kernel has no Landlock: such files are refused here")
    torch = pytest.importorskip("torch", reason="the extra torch is not installed: torch")
    import torch_files

    torch.save(torch_files.plain_stack(), tmp_path / "net.pth")
    flags = ("--allow-pickle", "--shape", "input=Nx3x16x16", "-o", tmp_path / "a.onnx")
    said = cli("import", tmp_path / "net.pth", *flags, "--json")
    assert said.code == 0, said.err
    assert said.data["inputs"] == [{"name": "input", "dtype": "float32", "shape": [None, 3, 16, 16]}]
