"""A file of weights without a graph, by its header: what language models come in (GGUF, safetensors)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class StoredTensor:
    """One tensor as it lies in a file.

    Args:
        name: as the file has it.
        type: how its elements are stored, in the format's own word (Q4_K, BF16).
        shape: outermost axis first, as numpy and PyTorch have it; GGUF writes it the other way round.
        offset: of its first byte, from the start of the file.
        size_bytes: that it takes.
        file: name of the file, where the weights stand in several; empty where there is one.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    offset: int
    size_bytes: int
    file: str = ""

    @property
    def elements(self) -> int:
        """How many numbers it holds; 1 for a scalar."""
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True)
class LongList:
    """A list among the metadata, such as a vocabulary: its first elements, and where all of them stand.

    Args:
        type: of an element, in the format's own word.
        count: of elements.
        first: the first few.
        offset: of the first element, from the start of the file.
        size_bytes: of all elements as they are stored.
    """

    type: str
    count: int
    first: tuple[str | int | float | bool, ...]
    offset: int
    size_bytes: int


Metadata = str | int | float | bool | LongList


@dataclass(frozen=True)
class WeightsFile:
    """A header.

    Args:
        format: GGUF or safetensors.
        version: of the format; 0 where it has none.
        architecture: that the file names (llama, gemma3), or None when it names none.
        metadata: everything else that it says of itself, in the order of the file.
        tensors: in the order of the file.
        header_bytes: before the first tensor's data; of all files.
        file_bytes: of all files.
        unused_bytes: after the last tensor's data.
        files: names of the files that hold the tensors, where there are several.
    """

    format: str
    version: int
    architecture: str | None
    metadata: dict[str, Metadata]
    tensors: tuple[StoredTensor, ...]
    header_bytes: int
    file_bytes: int
    unused_bytes: int = 0
    files: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Numbers in all tensors."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def bytes_by_type(self) -> dict[str, int]:
        """Bytes of the tensors of each type, the largest first."""
        total: Counter[str] = Counter()
        for tensor in self.tensors:
            total[tensor.type] += tensor.size_bytes
        return dict(total.most_common())
