"""The cache of keys and values: what every token of context leaves behind in every layer.

Sizes: src/llama-kv-cache.cpp and src/llama-kv-cache-iswa.cpp of llama.cpp. The whole cache is allocated and cleared
when the model is loaded, so it is resident from the first token on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.costmodel.language.setting import CELLS
from shoestring.weights.block_types import block_type

if TYPE_CHECKING:
    from shoestring.costmodel.language.setting import Setting
    from shoestring.domain.transformer import Transformer

PERIOD = {"gemma2": 2, "gemma3": 6}
"""Every so many layers one sees all tokens; those between look back on the window (set_swa_pattern in
src/llama-model.cpp)."""


def windowed_layers(model: Transformer) -> int:
    """Layers that look back on the window alone."""
    if model.window is None:
        return 0
    return model.layers - model.layers // PERIOD.get(model.architecture, 1)


def cells(model: Transformer, setting: Setting) -> tuple[int, int]:
    """Cells of the cache of a layer that sees all tokens, and of one with a window."""
    whole = _round_up(setting.context)
    if model.window is None:
        return whole, 0
    return whole, min(whole, _round_up(model.window + setting.together))


def cache_bytes(model: Transformer, setting: Setting) -> int:
    """Bytes of keys and values of all layers."""
    whole, windowed = cells(model, setting)
    narrow = windowed_layers(model)
    return ((model.layers - narrow) * whole + narrow * windowed) * token_bytes(model, setting.cache)


def token_bytes(model: Transformer, cache: str) -> int:
    """Bytes that one token leaves in one layer."""
    kind = block_type(cache)
    return model.kv_heads * sum(
        -(-width // kind.elements) * kind.size_bytes for width in (model.key_width, model.value_width)
    )


def read_bytes(model: Transformer, cache: str, tokens: int) -> int:
    """Bytes of the cache that are read to write one more token after `tokens`."""
    narrow = windowed_layers(model)
    seen = tokens if model.window is None else min(tokens, model.window)
    return ((model.layers - narrow) * tokens + narrow * seen) * token_bytes(model, cache)


def _round_up(tokens: int) -> int:
    return -(-tokens // CELLS) * CELLS


__all__ = ["cache_bytes", "cells", "read_bytes", "token_bytes", "windowed_layers"]
