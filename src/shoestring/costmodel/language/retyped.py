"""Headers of files that nobody has made yet: the same tensors in other block types.

Stock mixes of llama.cpp keep the table of words, which is the head of a tied model, finer than the blocks, and fall
back to a larger type where rows are no multiple of 256 (src/llama-quant.cpp); so do these.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.base.units import format_bytes
from shoestring.costmodel.language.resident import EMBEDDING, HEAD
from shoestring.weights.block_types import WRITTEN, block_type, fits, tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.domain.weights import StoredTensor, WeightsFile

FALLBACK = {
    "Q2_K": "IQ4_NL",
    "Q3_K": "IQ4_NL",
    "IQ4_XS": "IQ4_NL",
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}
TABLE = "Q6_K"
"""Of the table of words, where the blocks' type is smaller."""

ALIGNMENT = 32
"""Of tensors in a GGUF file as delivered."""


def all_in(file: WeightsFile, kind: str) -> WeightsFile:
    """The header with every matrix in one type, but for the table of words and rows that the type cannot hold.

    Args:
        file: its header.
        kind: block type, one of `block_types.WRITTEN`.

    Raises:
        UsageError: no such type.
    """
    return retyped(file, _types(file, _written(kind)))


def of_size(file: WeightsFile, size_bytes: int) -> WeightsFile:
    """The header of a mix that is as large as may be.

    The largest type in which everything fits, and the next larger one for as many matrices as fit, from the first on:
    where fit puts its bits by what they are worth, a plan only has to have as many.

    Args:
        file: its header.
        size_bytes: of the whole file, at most.

    Raises:
        UsageError: not even the smallest type fits.
    """
    made = [_types(file, kind, finer) for kind in WRITTEN if kind != "F32" for finer in (True, False)]
    by_size = sorted((retyped(file, types).file_bytes, place) for place, types in enumerate(made))
    fit = [place for size, place in by_size if size <= size_bytes]
    larger = [place for size, place in by_size if size > size_bytes]
    if not fit:
        raise UsageError(
            f"a file of {format_bytes(size_bytes)} is smaller than this model in its smallest types, "
            f"{format_bytes(by_size[0][0])}",
            hint="take a smaller model",
        )
    types = dict(made[fit[-1]])
    if larger:
        _enlarge(file, types, made[larger[0]], size_bytes)
    return retyped(file, types)


def retyped(file: WeightsFile, types: Mapping[str, str]) -> WeightsFile:
    """The header with some tensors in other types, in the same order, placed as a writer would.

    Args:
        file: its header.
        types: by name of tensor; those not named stay.

    Raises:
        ModelError: a type that a shape does not allow.
    """
    tensors: list[StoredTensor] = []
    at = start = min((tensor.offset for tensor in file.tensors), default=file.header_bytes)
    for tensor in file.tensors:
        kind = types.get(tensor.name, tensor.type)
        size = tensor.size_bytes if kind == tensor.type else tensor_bytes(kind, tensor.shape)
        tensors.append(replace(tensor, type=kind, offset=at, size_bytes=size))
        at += -(-size // ALIGNMENT) * ALIGNMENT
    return replace(file, tensors=tuple(tensors), file_bytes=max(at, start), unused_bytes=0)


def _types(file: WeightsFile, kind: str, finer_table: bool = True) -> dict[str, str]:
    found = {}
    for tensor in file.tensors:
        if len(tensor.shape) != 2:
            continue
        wanted = kind
        if finer_table and tensor.name in (EMBEDDING, HEAD) and block_type(kind).bits < block_type(TABLE).bits:
            wanted = TABLE
        found[tensor.name] = _taken(tensor, wanted)
    return found


def _taken(tensor: StoredTensor, kind: str) -> str:
    while not fits(tensor.shape, kind):
        kind = FALLBACK.get(kind, "F16")  # rows that no type with blocks can hold
    return kind


def _enlarge(file: WeightsFile, types: dict[str, str], larger: Mapping[str, str], size_bytes: int) -> None:
    left = size_bytes - retyped(file, types).file_bytes
    for tensor in file.tensors:
        if tensor.name not in types:
            continue
        more = tensor_bytes(larger[tensor.name], tensor.shape) - tensor_bytes(types[tensor.name], tensor.shape)
        if 0 < more <= left - ALIGNMENT:
            types[tensor.name] = larger[tensor.name]
            left -= more + ALIGNMENT


def _written(kind: str) -> str:
    found = {name.upper(): name for name in WRITTEN}.get(kind.upper())
    if found is None:
        raise UsageError(f"{kind!r} is no block type that is written", hint=f"take one of {', '.join(WRITTEN)}")
    return found


__all__ = ["all_in", "of_size", "retyped"]
