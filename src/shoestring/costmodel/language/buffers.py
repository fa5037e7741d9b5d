"""Working memory of llama.cpp: the graph's own buffer, and the scratch of its kernels.

The formula was found from the buffers that llama.cpp reports for models of seven families whose dimensions were varied
one at a time (`benchmarks/llm_memory.py --buffers` holds it against them); ggml-alloc.c gives tensors that are never
alive together the same place, so what counts is the widest moment of a layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.costmodel.language.key_value import cells, windowed_layers

if TYPE_CHECKING:
    from shoestring.costmodel.language.setting import Setting
    from shoestring.domain.transformer import Transformer

FLOAT_BYTES, HALF_BYTES = 4, 2
TOKEN_BYTES = 40
"""Of a token's own inputs: its number, its place, and where its keys and values go."""

ACTIVATION = 36 / 32
"""Bytes that an activation takes as a kernel reads it: blocks of 32 in 8 bits with a scale and a sum (Q8_1)."""


def graph_bytes(model: Transformer, setting: Setting) -> int:
    """The compute buffer of llama.cpp with flash attention, which it switches on by itself on processors."""
    width, hidden = model.width, model.feed_forward
    query = model.heads * model.key_width
    keys, values = model.kv_heads * model.key_width, model.kv_heads * model.value_width
    widest = max(
        3 * hidden + 5 * width,  # gate, up and their product beside the stream; hidden layers are wider than it
        3 * query + 3 * width,  # queries before and after their rotation, and what attention answers
        2 * query + keys + values + 3 * width,
    )
    whole, windowed = cells(model, setting)
    masks = HALF_BYTES * (whole + (windowed if windowed_layers(model) else 0))
    layer = setting.together * (FLOAT_BYTES * widest + TOKEN_BYTES + masks)
    return max(layer, FLOAT_BYTES * (model.vocabulary + model.width))


def scratch_bytes(model: Transformer, setting: Setting) -> int:
    """Where kernels put the activations of one matrix product in 8 bits (ggml_graph_plan, ggml-cpu.c)."""
    return int(setting.together * max(model.width, model.feed_forward) * ACTIVATION)


def answer_bytes(model: Transformer) -> int:
    """Logits of one token, as the caller reads them."""
    return FLOAT_BYTES * model.vocabulary


__all__ = ["answer_bytes", "graph_bytes", "scratch_bytes"]
