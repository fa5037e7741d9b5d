"""Peak memory of a model that writes, by context length, from its header alone."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from shoestring.base.limits import MIB
from shoestring.base.units import format_bytes
from shoestring.costmodel.language.buffers import answer_bytes, graph_bytes, scratch_bytes
from shoestring.costmodel.language.key_value import cache_bytes
from shoestring.costmodel.language.resident import resident_weights
from shoestring.costmodel.language.setting import CELLS, Setting
from shoestring.domain.estimate import Estimate
from shoestring.domain.weights import LongList

if TYPE_CHECKING:
    from collections.abc import Collection

    from shoestring.domain.transformer import Transformer
    from shoestring.domain.weights import WeightsFile

BASE_BYTES = 50 * MIB
"""Our process that writes (runtimes.llamacpp.Writer), Python 3.11 and xllamacpp 2026.10 included, less all that the
model brings, by `benchmarks/llm_memory.py`. The process that asks it is not counted."""

TOKEN_BYTES, MERGE_BYTES = 226, 250
"""What llama.cpp keeps for each word of the vocabulary and each merge of its tokenizer, by the same command."""

BASE_DOUBT, ELSEWHERE_DOUBT = 0.05, 0.15
"""Relative, of base and vocabulary: on x86-64, where they were measured; on other machines, whose allocators, pages and
libraries differ."""

BUFFERS_DOUBT = 0.15
"""Relative, of the buffers: not all of them is touched together."""

TOKENS, MERGES = "tokenizer.ggml.tokens", "tokenizer.ggml.merges"
PROTOCOL = (
    "peak resident memory (VmHWM) of the process that writes, llama.cpp inside, one conversation, after a prompt that "
    "filled the context"
)
X86 = ("avx2", "avx", "sse4_1")


@dataclass(frozen=True)
class Parts:
    """What is resident at the peak, bytes.

    Args:
        base: Python and the engine.
        vocabulary: the tokenizer.
        weights: mapped from the file.
        repacked: weights in another layout.
        cache: keys and values.
        buffers: of the graph and its kernels.
        loading: how much more is resident while the file is loaded; 0 where the peak comes later.
    """

    base: int
    vocabulary: int
    weights: int
    repacked: int
    cache: int
    buffers: int
    loading: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, field.name) for field in fields(self))


def memory_parts(model: Transformer, file: WeightsFile, setting: Setting, isa: Collection[str]) -> Parts:
    """What a process holds that runs the model.

    Args:
        model: its dimensions.
        file: its header.
        setting: context and cache.
        isa: of the processor, by our names: it decides which weights are laid out anew.
    """
    held = resident_weights(file, isa)
    cache = cache_bytes(model, setting)
    buffers = graph_bytes(model, setting) + scratch_bytes(model, setting) + answer_bytes(model)
    later = held.mapped + cache + buffers
    return Parts(
        base=BASE_BYTES,
        vocabulary=_words(model, file),
        weights=held.mapped,
        repacked=held.repacked,
        cache=cache,
        buffers=buffers,
        loading=max(0, held.loading - later),
    )


def predict_language_memory(model: Transformer, file: WeightsFile, setting: Setting, isa: Collection[str]) -> Estimate:
    """Peak memory in bytes, as `memory_parts` with an interval."""
    parts = memory_parts(model, file, setting, isa)
    here = any(flag in isa for flag in X86)
    loose = (BASE_DOUBT if here else ELSEWHERE_DOUBT) * (parts.base + parts.vocabulary)
    buffers = BUFFERS_DOUBT * parts.buffers
    named = [
        f"{format_bytes(getattr(parts, one.name))} {one.name}" for one in fields(parts) if getattr(parts, one.name)
    ]
    return Estimate(
        value=parts.total,
        low=parts.total - loose - buffers,
        high=parts.total + loose + buffers,
        unit="bytes",
        ground="formula",
        rests_on=(
            ", ".join(named),
            "shapes in the header; base and tokenizer measured on x86-64 with xllamacpp 2026.10",
        ),
        protocol=PROTOCOL,
        widened=() if here else ("base and tokenizer were measured on x86-64 alone",),
    )


def longest_context(
    model: Transformer, file: WeightsFile, setting: Setting, isa: Collection[str], limit_bytes: float
) -> int | None:
    """Tokens of the longest context whose peak stays within a limit at the upper end of its interval.

    Args:
        model: its dimensions.
        file: its header.
        setting: as planned, but for the context.
        isa: of the processor.
        limit_bytes: that a process may take.

    Returns:
        A multiple of CELLS, or what the model was trained for where that is less; None where even the shortest is too
        long.
    """

    def fits(context: int) -> bool:
        asked = Setting(context, setting.cache, setting.microbatch)
        return predict_language_memory(model, file, asked, isa).high <= limit_bytes

    if fits(model.context):
        return model.context
    low, high = 0, model.context // CELLS
    while low < high:  # memory grows with the context
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle * CELLS) else (low, middle - 1)
    return low * CELLS or None


def _words(model: Transformer, file: WeightsFile) -> int:
    """Bytes of the tokenizer; of a file without one, as if it had a merge for each word."""
    tokens, merges = (file.metadata.get(key) for key in (TOKENS, MERGES))
    words = tokens.count if isinstance(tokens, LongList) else model.vocabulary
    joined = merges.count if isinstance(merges, LongList) else (0 if isinstance(tokens, LongList) else words)
    return TOKEN_BYTES * words + MERGE_BYTES * joined


__all__ = ["Parts", "longest_context", "memory_parts", "predict_language_memory"]
