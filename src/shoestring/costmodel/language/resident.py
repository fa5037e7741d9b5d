"""Bytes of weights in memory: mapped from the file, and laid out anew beside it where the processor's kernels want so.

llama.cpp maps the file and has all of it read in; once loaded it gives back what lies before the first and after the
last tensor that is still used from the file (src/llama-model-loader.cpp, unmap_fragment). Matrices that are laid out
anew are held once more: a model in Q4_0 takes nearly twice its file on a processor with AVX2, and what lies between its
norms stays mapped.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from shoestring.domain.weights import StoredTensor, WeightsFile

EMBEDDING, HEAD = "token_embd.weight", "output.weight"


@dataclass(frozen=True)
class Resident:
    """Bytes.

    Args:
        mapped: of the file, once the model is loaded.
        repacked: held once more in another layout.
        loading: of the file, while it is loaded.
    """

    mapped: int
    repacked: int
    loading: int


@functools.cache
def _layouts() -> tuple[tuple[frozenset[str], int, frozenset[str]], ...]:
    text = resources.files(__package__).joinpath("repacked.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)["layout"]
    return tuple((frozenset(line["all"]), line["rows"], frozenset(line["types"])) for line in table)


def is_repacked(tensor: StoredTensor, isa: Collection[str]) -> bool:
    """Whether llama.cpp lays a matrix out anew on a processor with these instruction sets."""
    if len(tensor.shape) != 2:
        return False
    flags = set(isa)
    return any(
        needed <= flags and tensor.type in types and tensor.shape[0] % rows == 0 for needed, rows, types in _layouts()
    )


def resident_weights(file: WeightsFile, isa: Collection[str], *, repack: bool = True) -> Resident:
    """Weights in memory.

    Args:
        file: with the places of its tensors.
        isa: of the processor, by our names.
        repack: False where the extra layouts are switched off (no_extra_bufts).
    """
    anew = {tensor.name for tensor in file.tensors if repack and is_repacked(tensor, isa)}
    tied = all(tensor.name != HEAD for tensor in file.tensors)
    # The input table is looked up row by row, which no other layout can do; a tied head is a second tensor for it.
    kept = [tensor for tensor in file.tensors if tensor.name not in anew or tensor.name == EMBEDDING]
    repacked = sum(
        tensor.size_bytes for tensor in file.tensors if tensor.name in anew and (tensor.name != EMBEDDING or tied)
    )
    start = min((tensor.offset for tensor in file.tensors), default=0)
    end = max((tensor.offset + tensor.size_bytes for tensor in file.tensors), default=0)
    if not kept:
        return Resident(0, repacked, end - start)
    first = min(tensor.offset for tensor in kept)
    last = max(tensor.offset + tensor.size_bytes for tensor in kept)
    return Resident(last - first, repacked, end - start)


__all__ = ["EMBEDDING", "HEAD", "Resident", "is_repacked", "resident_weights"]
