"""A decoder's tensors: which of Hugging Face's become which of GGUF's, of what shape, and what is done to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import ModelError
from shoestring.importers.gguf.writing import Planned
from shoestring.importers.huggingface.decoder_config import Decoder
from shoestring.importers.huggingface.rope import llama3_factors
from shoestring.importers.huggingface.stored import Array, Stored, widened
from shoestring.importers.safetensors.strict_json import DAMAGED

EMBEDDING, HEAD, LAST_NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"
_EXPONENT = {np.dtype(np.uint16): 0x7F80, np.dtype(np.float16): 0x7C00}  # all ones: infinity or NaN


@dataclass(frozen=True)
class Source:
    """Where one tensor of the GGUF file comes from.

    Args:
        name: in the GGUF file.
        stored: among the weights.
        shape: outermost axis first.
        offset: added to its values.
        turned: heads whose rows are reordered, or 0.
    """

    name: str
    stored: str
    shape: tuple[int, ...]
    offset: float = 0.0
    turned: int = 0


def sources(decoder: Decoder) -> Iterator[Source]:
    """All tensors, in the order of the GGUF file."""
    width, vocabulary = decoder.width, decoder.vocabulary
    yield Source("token_embd.weight", EMBEDDING, (vocabulary, width))
    for index in range(decoder.layers):
        yield from _layer(decoder, f"model.layers.{index}.", f"blk.{index}.")
    yield Source("output_norm.weight", LAST_NORM, (width,), decoder.family.norm_offset)
    if not decoder.tied:
        yield Source("output.weight", HEAD, (vocabulary, width))


def _layer(decoder: Decoder, there: str, here: str) -> Iterator[Source]:
    width, hidden = decoder.width, decoder.feed_forward
    queries, keys = decoder.heads * decoder.head_width, decoder.kv_heads * decoder.head_width
    turned = decoder.family.interleaved
    for name, ours, wide in decoder.family.norms:
        size = width if wide == "width" else decoder.head_width
        yield Source(f"{here}{ours}.weight", f"{there}{name}.weight", (size,), decoder.family.norm_offset)
    for name, ours, outputs, inputs, heads in (
        ("self_attn.q_proj", "attn_q", queries, width, decoder.heads if turned else 0),
        ("self_attn.k_proj", "attn_k", keys, width, decoder.kv_heads if turned else 0),
        ("self_attn.v_proj", "attn_v", keys, width, 0),
        ("self_attn.o_proj", "attn_output", width, queries, 0),
        ("mlp.gate_proj", "ffn_gate", hidden, width, 0),
        ("mlp.up_proj", "ffn_up", hidden, width, 0),
        ("mlp.down_proj", "ffn_down", width, hidden, 0),
    ):
        yield Source(f"{here}{ours}.weight", f"{there}{name}.weight", (outputs, inputs), turned=heads)
        if name in decoder.biases:
            yield Source(f"{here}{ours}.bias", f"{there}{name}.bias", (outputs,), turned=heads)


def planned(stored: Stored, decoder: Decoder) -> list[Planned]:
    """Every tensor with its place in the plan; nothing is read before it is written.

    Raises:
        ModelError: one is missing, of another shape, or of a type that is not read; or one is left over.
    """
    found = []
    for source in sources(decoder):
        kind = stored.find(source.stored, source.shape).type
        # Vectors take no space worth saving, and llama.cpp computes with them in float32.
        kind = kind if len(source.shape) == 2 else "F32"
        found.append(Planned(source.name, kind, source.shape, _reader(stored, source)))
    if decoder.rope.kind == "llama3":
        factors = llama3_factors(decoder.rope, decoder.head_width)
        found.append(Planned("rope_freqs.weight", "F32", factors.shape, lambda: factors))
    names = list(stored.names())
    # A tied head may be stored again, and old files keep the wavelengths, which follow from theta.
    stored.drop([HEAD] if decoder.tied else [])
    stored.drop([name for name in names if name.endswith(".rotary_emb.inv_freq")])
    stored.check_all_taken()
    return found


def _reader(stored: Stored, source: Source) -> Callable[[], Array]:
    return lambda: converted(stored.take(source.stored, source.shape), source)


def converted(values: Array, source: Source) -> Array:
    """A stored tensor as GGUF has it. Raises ModelError for numbers that are not finite."""
    check_finite(values, source.stored)
    if source.turned:
        values = interleaved(values, source.turned)
    if values.ndim == 2:
        return values
    return widened(values) + np.float32(source.offset)


def interleaved(values: Array, heads: int) -> Array:
    """Rows i and i + half of each head become neighbours: the pairs that positions turn, as llama.cpp has them."""
    half = values.shape[0] // heads // 2
    pairs = values.reshape(heads, 2, half, *values.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(values.shape)


def check_finite(values: npt.NDArray[Any], name: str) -> None:
    """Raises ModelError for infinity or NaN, in bfloat16's bits too."""
    mask = _EXPONENT.get(values.dtype)
    if mask is None:
        sound = bool(np.isfinite(values).all())
    else:
        sound = not bool(((values.view(np.uint16) & np.uint16(mask)) == mask).any())
    if not sound:
        raise ModelError(f"tensor {name!r} holds numbers that are not finite", hint=DAMAGED)
