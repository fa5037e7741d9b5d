"""Which runtimes read our ONNX graph themselves, and who writes the format of the others."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.compress.graph import Graph
from shoestring.convert.converted import Converted

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Writer:
    """How a model reaches a runtime.

    Args:
        module: of ours, with a function `convert(path, precision)`; None where the runtime reads ONNX.
        suffix: of its files.
    """

    module: str | None
    suffix: str


WRITERS = {
    "openvino": Writer(None, ".onnx"),
    "litert": Writer("shoestring.convert.tflite", ".tflite"),
    "ncnn": Writer("shoestring.convert.ncnn", ".ncnn"),
}


def writer(runtime: str) -> Writer:
    """Raises UsageError: nothing is converted for this runtime."""
    if runtime not in WRITERS:
        raise UsageError(f"nothing is converted for the runtime {runtime!r}", hint=f"one of: {', '.join(WRITERS)}")
    return WRITERS[runtime]


def convert_for(runtime: str, model: Path, precision: str) -> Converted:
    """A model in the format of a runtime.

    Args:
        runtime: one of WRITERS.
        model: ONNX of ours, float or quantized in QDQ form.
        precision: `fp32`, `fp16` or `int8`, of the arithmetic.

    Returns:
        The file; the same bytes where the runtime reads ONNX.

    Raises:
        UsageError: an unknown runtime.
        MissingExtraError: the package that knows the format is not installed.
        ModelError: operators that cannot go, all named, with the rewrite that would do.
    """
    module = writer(runtime).module
    if module is None:
        return Converted(model.read_bytes())
    converted: Converted = import_module(module).convert(model, precision)
    return converted


def is_quantized(model: Path) -> bool:
    """Whether an ONNX file of ours holds 8-bit arithmetic in QDQ form."""
    return any(node.op_type == "QuantizeLinear" for node in Graph.load(model).nodes)


__all__ = ["WRITERS", "Writer", "convert_for", "is_quantized", "writer"]
