"""What a compiled program says of itself: the JSON text that `about` points to."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from shoestring.base import canonical
from shoestring.base.errors import EngineError
from shoestring.domain.model import TensorSpec
from shoestring.runtimes.checks import one_line

DTYPES = ("bool", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_ABOUT = re.compile(rb'\{"abi":\d+,[^\0]*\}(?=\0)')
"""The text that `about` points to, as it lies in the library."""


@dataclass(frozen=True)
class About:
    """What a program says of itself.

    Args:
        abi: it was compiled for.
        name: of the program.
        compiler: project and version.
        target: name, like `x86-64-avx512vnni`.
        isa: instruction sets it needs, by our names.
        source_sha256: of the ONNX file it was made from.
        threads: the most it can use.
        inputs, outputs: in order; a free first axis is the batch, of which the program takes one at a time.
        arena_bytes: working memory at one thread.
        weights_bytes: of the weights.
    """

    abi: int
    name: str
    compiler: str
    target: str
    isa: tuple[str, ...]
    source_sha256: str
    threads: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    arena_bytes: int
    weights_bytes: int


def needs(data: bytes) -> str:
    """What the programs in a library need, in words: the texts that `about` would have pointed to lie in its bytes."""
    found = []
    for text in _ABOUT.findall(data):
        try:
            about = parse_about(text, "")
        except EngineError:  # bytes that only look like it; what is being told is another error
            continue
        found.append(f"{about.target} needs {', '.join(about.isa) or 'no special instruction sets'}")
    return f": {'; '.join(sorted(set(found)))}" if found else ""


def parse_about(text: bytes, name: str) -> About:
    def refused(reason: str) -> EngineError:
        return EngineError(f"{name} does not say what it is: {one_line(reason)}", hint="compile it again")

    try:
        parsed: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refused(f"not JSON: {error}") from None
    about = canonical.convert(parsed, About, refused)
    for spec in (*about.inputs, *about.outputs):
        if spec.dtype not in DTYPES:
            raise refused(f"{spec.name!r} has the unknown dtype {spec.dtype!r}")
        if any(length is None for length in spec.shape[1:]) or any(
            length is not None and length < 1 for length in spec.shape
        ):
            raise refused(f"{spec.name!r} has the shape {spec.shape}; only a first axis may be free")
    return about


__all__ = ["About", "needs", "parse_about"]
