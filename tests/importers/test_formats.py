"""A wrong file is called by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import onnx_graphs
from shoestring.base.errors import ModelError, UsageError
from shoestring.importers import import_model
from shoestring.importers.formats import recognise

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"GGUF\x03\0\0\0", "GGUF"),
        (b"\x1c\0\0\0TFL3\x14\0", "TensorFlow Lite"),
        (b"PK\x03\x04archive/data.pkl", "no sound zip archive"),
        (b"\x80\x02}q\0", "pickle"),
        (b"\x89HDF\r\n\x1a\n", "Keras"),
        (b"\x40\0\0\0\0\0\0\0" + b'{"__metadata__":', "safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "Git LFS"),
        (b"\n<!doctype html><html>", "web page"),
        (b"[net]\nbatch=1\n", "Darknet"),
        (b"# YOLO\r\n\n ; for boats\n[net]\nbatch=1\n", "Darknet"),
        (b"\0\0\0\0\2\0\0\0\5\0\0\0" + bytes(64), r"Darknet \.weights"),
        (b"7767517\n75 83\n", "ncnn"),
        (b"hello, world\n", "text file"),
        ("Grüße aus Köln\n".encode(), "text file"),
    ],
)
def test_known_formats(tmp_path: Path, head: bytes, name: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(head)
    with pytest.raises(ModelError, match=name) as told:
        import_model(path, tmp_path / "out.onnx")
    assert told.value.hint
    assert sorted(item.name for item in tmp_path.iterdir()) == ["model.onnx"]


def test_a_real_model_is_none_of_them() -> None:
    for build in onnx_graphs.GRAPHS.values():
        for opset in (11, 17, onnx_graphs.NEWEST):
            assert recognise(build(opset).SerializeToString()[:512]) is None


def test_missing_empty_and_directory(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    for name, words in (("missing.onnx", "there is no file"), ("empty.onnx", "is empty"), (".", "is a directory")):
        with pytest.raises(ModelError, match=words) as told:
            import_model(tmp_path / name, tmp_path / "out.onnx")
        assert told.value.hint


def test_the_source_is_not_overwritten(tmp_path: Path) -> None:
    source = onnx_graphs.save(onnx_graphs.conv_bn_relu(), tmp_path / "in.onnx")
    before = source.read_bytes()
    with pytest.raises(UsageError, match="is the source itself"):
        import_model(source, source)
    assert source.read_bytes() == before
