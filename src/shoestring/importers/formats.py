"""What a file is, judged by its first bytes, so that a wrong one gets an answer that helps."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shoestring.importers.keras import keras_hint

HEAD_BYTES = 512
_ONLY_ONNX = "this format is not read; export the model to ONNX"
_NO_GRAPH = "it holds weights without a graph, so export the whole model to ONNX"
_FOLDER = "it holds weights without a graph: give the folder with its config.json to `shoestring import`"
_PYTORCH = "shoestring.importers.pytorch:to_onnx"


@dataclass(frozen=True)
class Format:
    """A file format that is not ONNX.

    Args:
        name: for the message.
        hint: what the user can do.
        reader: `package.module:function` that makes ONNX of it (see `sources`); empty when it is refused.
    """

    name: str
    hint: str
    reader: str = ""


_DARKNET = Format("a Darknet .cfg file", "", "shoestring.importers.darknet.reader:to_onnx")
_TFLITE = Format("a TensorFlow Lite file", "", "shoestring.importers.tflite.reader:to_onnx")
_DARKNET_WEIGHTS = Format("a Darknet .weights file", "give the .cfg; the weights are found beside it by the same name")

# (offset, magic, format); the first match wins, so the longer magic of a family stands before the shorter.
_MAGIC: tuple[tuple[int, bytes, Format], ...] = (
    (0, b"GGUF", Format("a GGUF file (llama.cpp)", f"`shoestring inspect` shows what it holds; {_NO_GRAPH}")),
    (4, b"TFL3", _TFLITE),
    (4, b"ORTM", Format("an ONNX Runtime .ort file", "give the .onnx file that it was made from")),
    (0, b"\x89HDF", Format("an HDF5 file (Keras)", keras_hint("model.h5"))),
    (0, b"PK\x03\x04", Format("a zip file, as PyTorch and Keras write", "", _PYTORCH)),
    (0, b"\x80\x02", Format("a Python pickle, as old versions of torch.save write", "", _PYTORCH)),
    (0, b"\x80\x03", Format("a Python pickle", "", _PYTORCH)),
    (0, b"\x80\x04", Format("a Python pickle", "", _PYTORCH)),
    (0, b"\x80\x05", Format("a Python pickle", "", _PYTORCH)),
    (8, b'{"', Format("a safetensors file", f"`shoestring inspect` shows what it holds; {_FOLDER}")),
    (0, b"\x1f\x8b", Format("a gzip file", "unpack it first")),
    (0, b"\x89PNG", Format("a PNG image", "the model comes first, images after it")),
    (0, b"\xff\xd8\xff", Format("a JPEG image", "the model comes first, images after it")),
    (0, b"\0\0\0\0\1\0\0\0", _DARKNET_WEIGHTS),
    (0, b"\0\0\0\0\2\0\0\0", _DARKNET_WEIGHTS),
    (0, b"\x7fELF", Format("a compiled program", _ONLY_ONNX)),
)
_TEXT: tuple[tuple[bytes, Format], ...] = (
    (b"version https://git-lfs", Format("a Git LFS pointer, not the file itself", "run `git lfs pull`")),
    (b"7767517", Format("an ncnn .param file", _ONLY_ONNX)),
    (b"[net]", _DARKNET),
    (b"[network]", _DARKNET),
    (b"<?xml", Format("an XML file (OpenVINO's is one)", _ONLY_ONNX)),
    (b"<!DOCTYPE", Format("a web page", "the download went wrong; fetch the file itself")),
    (b"<html", Format("a web page", "the download went wrong; fetch the file itself")),
)
_PLAIN_TEXT = Format("a text file", "give a binary .onnx file")
_COMMENTS = re.compile(rb"\A(\s+|[#;][^\n]*(\n|\Z))+")  # before the first section of a .cfg
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\r\f")


def recognise(head: bytes) -> Format | None:
    """The format that the first `HEAD_BYTES` of a file show, or None when it may be ONNX."""
    for offset, magic, found in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return found
    if not _is_text(head):
        return None
    text = _COMMENTS.sub(b"", head).lower()
    for magic, found in _TEXT:
        if text.startswith(magic.lower()):
            return found
    return _PLAIN_TEXT


def _is_text(head: bytes) -> bool:
    """No control bytes. A binary ONNX file starts with byte 8, the tag of its version field, and so is never text."""
    return bool(head) and not _CONTROL.intersection(head) and 127 not in head
