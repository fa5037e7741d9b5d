"""The inside of the child process: parse, infer, count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from shoestring.analysis.buffers import buffers, peak_bytes
from shoestring.analysis.graphs import ModelProto, main_view
from shoestring.analysis.layers import layers
from shoestring.base import canonical
from shoestring.base.errors import ModelError
from shoestring.domain.model import Profile


def profile(request: dict[str, Any]) -> Any:
    """The profile of the file `path` at `batch`, as plain values. Raises ModelError."""
    path = Path(request["path"])
    try:
        model = ModelProto.FromString(path.read_bytes())
    except DecodeError as error:
        raise ModelError(f"{path} is not an ONNX file", hint="give a binary .onnx file") from error
    if not model.graph.node:
        raise ModelError(f"{path} holds no graph", hint="give a binary .onnx file")
    view = main_view(model, request["batch"])
    return canonical.plain(Profile(tuple(layers(view, set())), peak_bytes(view, buffers(view)), request["batch"]))
