"""What of a file is read to write a token, and what its weights are called in tables of measurements."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.costmodel.accelerators.language_models import known_language_models
from shoestring.costmodel.language.resident import EMBEDDING, HEAD

if TYPE_CHECKING:
    from shoestring.domain.transformer import Transformer
    from shoestring.domain.weights import StoredTensor, WeightsFile

ROW_NAMES = {"Q4_K": "q4_k_m", "F16": "f16", "BF16": "bf16", "F32": "f32"}
"""Block types that rows call otherwise; the rest they call as ggml does, in small letters."""

MIXED, MOSTLY = "mixed", 0.6
"""A file in which no type has this share of the blocks' bytes is one that no row speaks of."""

ALIKE = 0.01
"""Networks whose counts differ by less than this share are taken for the same one under another name."""


@dataclass(frozen=True)
class Stored:
    """Bytes by what they are for.

    Args:
        name: of the network, as measurements know it where its counts are those of one.
        precision: of most weights, as rows name it.
        body_bytes: of the blocks, all read for each token.
        head_bytes: of the output layer, read for each token that is answered.
    """

    name: str
    precision: str
    body_bytes: int
    head_bytes: int


def stored(model: Transformer, file: WeightsFile) -> Stored:
    """Bytes of a file by what they are for.

    Args:
        model: its dimensions.
        file: its header.
    """
    head = next((tensor for tensor in file.tensors if tensor.name == (EMBEDDING if model.tied else HEAD)), None)
    head_bytes = 0 if head is None else head.size_bytes
    blocks = [tensor for tensor in file.tensors if tensor.name not in (EMBEDDING, HEAD)]
    return Stored(_network(model, file), _precision(blocks), sum(tensor.size_bytes for tensor in blocks), head_bytes)


def _precision(blocks: list[StoredTensor]) -> str:
    total: Counter[str] = Counter()
    for tensor in blocks:
        total[tensor.type] += tensor.size_bytes
    if not total:
        return MIXED
    most, size = total.most_common(1)[0]
    return ROW_NAMES.get(most, most.lower()) if size >= MOSTLY * total.total() else MIXED


def _network(model: Transformer, file: WeightsFile) -> str:
    """A known network with as many layers and parameters, or what the file calls itself."""
    head = model.vocabulary * model.width
    body = sum(tensor.elements for tensor in file.tensors if tensor.name not in (EMBEDDING, HEAD))
    for known in known_language_models().values():
        near = abs(known.body_params - body) < ALIKE * body and abs(known.head_params - head) < ALIKE * head
        if known.layers == model.layers and near:
            return known.name
    name = file.metadata.get("general.name")
    return name if isinstance(name, str) else f"{model.architecture} of {model.parameters:,} parameters"


__all__ = ["MIXED", "Stored", "stored"]
