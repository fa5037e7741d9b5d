"""What the header of a language model says of its network: all that memory and speed follow from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Transformer:
    """A decoder of the Llama family and its relatives.

    Args:
        architecture: as GGUF calls it: `llama`, `qwen2`, `qwen3`, `gemma2`, `gemma3`.
        layers: blocks of attention and feed-forward.
        width: of the residual stream.
        heads: of the queries.
        kv_heads: of keys and values, at most `heads`.
        key_width: of one head's keys and queries.
        value_width: of one head's values.
        feed_forward: width of the hidden layer.
        vocabulary: tokens.
        context: tokens that it was trained for.
        tied: whether the head is the embedding itself.
        parameters: numbers in all tensors.
        window: tokens that layers with a sliding window look back on; None: all layers see all.
    """

    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    key_width: int
    value_width: int
    feed_forward: int
    vocabulary: int
    context: int
    tied: bool
    parameters: int
    window: int | None = None
