"""The block types of ggml, from types.toml: how many bytes a tensor takes, and which types its shape allows."""

from __future__ import annotations

import functools
import math
import tomllib
from dataclasses import dataclass
from importlib import resources

from shoestring.base.errors import ModelError

WRITTEN = (
    "F32", "BF16", "F16", "Q8_0", "Q6_K", "Q5_1", "Q5_0", "Q5_K", "Q4_1", "Q4_0", "IQ4_NL", "Q4_K", "IQ4_XS", "Q3_K",
    "Q2_K",
)  # fmt: skip
"""What our quantizer writes, the largest first."""


@dataclass(frozen=True)
class BlockType:
    """How elements are stored.

    Args:
        name: in ggml.
        elements: of one block.
        size_bytes: of one block.
        number: in a GGUF file.
    """

    name: str
    elements: int
    size_bytes: int
    number: int

    @property
    def bits(self) -> float:
        """Of one element, its share of the scales included."""
        return 8 * self.size_bytes / self.elements


@functools.cache
def block_types() -> dict[int, BlockType]:
    """All block types by their number in a GGUF file."""
    table = tomllib.loads(resources.files("shoestring.weights").joinpath("types.toml").read_text())
    return {number: BlockType(name, elements, size, number) for number, name, elements, size in table["types"]}


@functools.cache
def _by_name() -> dict[str, BlockType]:
    return {kind.name: kind for kind in block_types().values()}


def block_type(name: str) -> BlockType:
    """The block type of that name. Raises ModelError where there is none."""
    found = _by_name().get(name)
    if found is None:
        raise ModelError(f"{name!r} is no block type of ggml", hint=f"those that are written: {', '.join(WRITTEN)}")
    return found


def fits(shape: tuple[int, ...], name: str) -> bool:
    """Whether rows of `shape` (outermost axis first) are a whole number of blocks."""
    return len(shape) > 0 and shape[-1] % block_type(name).elements == 0


def applicable(shape: tuple[int, ...]) -> tuple[str, ...]:
    """The types that our quantizer can write a tensor of `shape` in, the largest first.

    Rows whose width is no multiple of 256 have no K types: llama.cpp falls back to a larger type there
    (src/llama-quant.cpp, "fallback"), and so does whoever asks here.
    """
    return tuple(name for name in WRITTEN if fits(shape, name))


def row_bytes(width: int, name: str) -> int:
    """Bytes of a row of `width` elements. Raises ModelError where it is no whole number of blocks."""
    kind = block_type(name)
    if width % kind.elements:
        raise ModelError(
            f"rows of {width:,} elements cannot be stored as {name}, which takes multiples of {kind.elements}",
            hint="take a type with smaller blocks, such as Q8_0 or Q4_0",
        )
    return width // kind.elements * kind.size_bytes


def tensor_bytes(name: str, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor of `shape` (outermost axis first) in that type.

    Raises:
        ModelError: no such type, or one that the shape does not allow.
    """
    width = shape[-1] if shape else 1
    return math.prod(shape[:-1]) * row_bytes(width, name)
