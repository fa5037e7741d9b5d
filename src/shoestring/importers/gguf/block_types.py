"""The block types of ggml, from types.toml."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class BlockType:
    """How elements are stored.

    Args:
        name: in ggml.
        elements: of one block.
        size_bytes: of one block.
    """

    name: str
    elements: int
    size_bytes: int


@functools.cache
def block_types() -> dict[int, BlockType]:
    """All block types by their number in a GGUF file."""
    table = tomllib.loads(resources.files("shoestring.importers.gguf").joinpath("types.toml").read_text())
    return {number: BlockType(name, elements, size) for number, name, elements, size in table["types"]}
