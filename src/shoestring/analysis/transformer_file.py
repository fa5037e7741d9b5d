"""The header that a language model would have as a GGUF file in one type, from its dimensions alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.analysis.transformer_shapes import GGUF_NAMES, expected
from shoestring.domain.weights import Metadata, StoredTensor, WeightsFile
from shoestring.weights.block_types import tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shoestring.domain.transformer import Transformer

ALIGNMENT = 32
"""Of tensors as delivered."""

NORMS = ("attn_norm", "ffn_norm")
"""Of every layer; some families have two more, which take next to nothing."""


def header_of(
    model: Transformer, type_of: Callable[[str], str], *, metadata: Mapping[str, Metadata] | None = None
) -> WeightsFile:
    """Names, shapes, places and bytes of a file that is not there.

    Args:
        model: dimensions.
        type_of: block type of a matrix by its name; norms are F32.
        metadata: to carry along.

    Raises:
        ModelError: a type that a shape does not allow.
    """
    shapes: dict[str, tuple[int, ...]] = dict(expected(model, GGUF_NAMES))
    for layer in range(model.layers):
        shapes |= {f"{GGUF_NAMES.layer.format(layer)}{norm}.weight": (model.width,) for norm in NORMS}
    shapes["output_norm.weight"] = (model.width,)
    tensors, at = [], 0
    for name, shape in sorted(shapes.items(), key=_place):
        kind = "F32" if len(shape) == 1 else type_of(name)
        tensors.append(StoredTensor(name, kind, shape, at, tensor_bytes(kind, shape)))
        at += -(-tensors[-1].size_bytes // ALIGNMENT) * ALIGNMENT
    found: dict[str, Metadata] = {"general.architecture": model.architecture, **(metadata or {})}
    return WeightsFile("GGUF", 3, model.architecture, found, tuple(tensors), 0, at)


def _place(item: tuple[str, tuple[int, ...]]) -> tuple[int, int, str]:
    """The table first, layer after layer, what follows them last."""
    name = item[0]
    if not name.startswith("blk."):
        return (0 if name == GGUF_NAMES.embedding else 2), 0, name
    return 1, int(name.split(".")[1]), name


__all__ = ["header_of"]
