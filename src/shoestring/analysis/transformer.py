"""A language model's dimensions, from the header of a GGUF file; the shapes of its tensors must agree.

Keys: docs/gguf.md of github.com/ggml-org/ggml; defaults of absent ones: load_hparams in src/llama-model.cpp of
llama.cpp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.analysis.transformer_shapes import GGUF_NAMES, check_shapes
from shoestring.base.errors import ModelError
from shoestring.domain.transformer import Transformer
from shoestring.domain.weights import LongList

if TYPE_CHECKING:
    from shoestring.domain.weights import WeightsFile

ARCHITECTURES = ("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3")
"""One residual stream, attention and a gated feed-forward block a layer. Mistral's files say `llama`."""

WINDOWED = {"gemma2": 4096, "gemma3": None}
"""Architectures in which llama.cpp limits some layers to a window, and the window where the file states none. phi3
names one too, which llama.cpp does not use (its Phi SWA is switched off), so its cache holds the whole context."""

MAX_LAYERS, MAX_WIDTH, MAX_HEADS, MAX_CONTEXT, MAX_VOCABULARY = 1_024, 1 << 17, 4_096, 1 << 27, 1 << 24
"""Far above every published model; what lies beyond is a damaged file."""

EXPERTS = "expert_count"
_HINT = "the file is damaged, or of a kind that this release does not plan"


def transformer_of(file: WeightsFile) -> Transformer:
    """The dimensions of the language model in a GGUF file.

    Args:
        file: its header, tensors included.

    Returns:
        What the header says, after every tensor was held against it.

    Raises:
        ModelError: not a GGUF file, an architecture that is not in ARCHITECTURES, a mixture of experts, a key that is
            missing or out of range, or a tensor that is missing or has another shape than the keys say.
    """
    if file.format != "GGUF":
        raise ModelError(
            f"a {file.format} file says nothing of its dimensions", hint="give the folder with its config.json"
        )
    keys = _Keys(file)
    layers = keys.size("block_count", MAX_LAYERS)
    width = keys.size("embedding_length", MAX_WIDTH)
    heads = keys.size("attention.head_count", MAX_HEADS)
    head_width = width // heads or None
    found = Transformer(
        architecture=keys.architecture,
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=keys.size("attention.head_count_kv", MAX_HEADS, heads),
        key_width=keys.size("attention.key_length", MAX_WIDTH, head_width),
        value_width=keys.size("attention.value_length", MAX_WIDTH, head_width),
        feed_forward=keys.size("feed_forward_length", MAX_WIDTH),
        vocabulary=_vocabulary(file, keys),
        context=keys.size("context_length", MAX_CONTEXT),
        tied=all(tensor.name != GGUF_NAMES.head for tensor in file.tensors),
        parameters=file.parameters,
        window=_window(keys),
    )
    check_shapes(found, file, GGUF_NAMES)
    return found


class _Keys:
    """The keys of one architecture."""

    def __init__(self, file: WeightsFile) -> None:
        if file.architecture not in ARCHITECTURES:
            raise ModelError(
                f"the architecture {file.architecture!r} is not one of {', '.join(ARCHITECTURES)}",
                hint="models of these architectures are planned and fitted; others need another tool",
            )
        self.architecture = file.architecture
        self._metadata = file.metadata
        if self.size(EXPERTS, MAX_HEADS, 0):
            raise ModelError(
                f"the model is a mixture of {self.size(EXPERTS, MAX_HEADS, 0)} experts",
                hint="only dense models are planned",
            )

    def size(self, name: str, limit: int, absent: int | None = None) -> int:
        """A whole number from 1 to `limit`, or `absent` where the file does not state it. Raises ModelError."""
        key = f"{self.architecture}.{name}"
        value = self._metadata.get(key)
        if value is None:
            if absent is None:
                raise ModelError(f"the file states no {key!r}", hint=_HINT)
            return absent
        if isinstance(value, LongList):
            raise ModelError(
                f"{key!r} is a list of {value.count:,} values", hint="layers of different shapes are not planned"
            )
        if type(value) is not int or not (0 if absent == 0 else 1) <= value <= limit:
            raise ModelError(f"{key!r} is {value!r}, expected a whole number from 1 to {limit:,}", hint=_HINT)
        return value


def _vocabulary(file: WeightsFile, keys: _Keys) -> int:
    """As the file states it, or as many words as its tokenizer has."""
    tokens = file.metadata.get("tokenizer.ggml.tokens")
    counted = tokens.count if isinstance(tokens, LongList) else None
    stated = keys.size("vocab_size", MAX_VOCABULARY, counted)
    if counted is not None and counted != stated:
        raise ModelError(
            f"the file states a vocabulary of {stated:,} tokens, and its tokenizer has {counted:,}", hint=_HINT
        )
    return stated


def _window(keys: _Keys) -> int | None:
    if keys.architecture not in WINDOWED:
        return None
    return keys.size("attention.sliding_window", MAX_CONTEXT, WINDOWED[keys.architecture])


__all__ = ["ARCHITECTURES", "transformer_of"]
