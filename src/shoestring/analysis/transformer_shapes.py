"""The tensors that a language model of given dimensions has, held against those that a file holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import ModelError

if TYPE_CHECKING:
    from shoestring.domain.transformer import Transformer
    from shoestring.domain.weights import WeightsFile

_HINT = "the header contradicts itself: the file is damaged or lies; fetch it again"


@dataclass(frozen=True)
class Names:
    """How a format calls the tensors; of a layer with `{}` for its number.

    Args:
        embedding: the input table.
        head: the output layer, absent where it is the embedding.
        query, key, value: of attention; `joined` is the three in one, where a family stores them so.
        attention_out: back into the stream.
        gate, up, down: of the feed-forward block; `gate_up` is the first two in one.
        layer: the start of the names of a layer, with `{}` for its number.
    """

    embedding: str
    head: str
    query: str
    key: str
    value: str
    joined: str
    attention_out: str
    gate: str
    up: str
    gate_up: str
    down: str
    layer: str


GGUF_NAMES = Names(
    "token_embd.weight",
    "output.weight",
    "attn_q.weight",
    "attn_k.weight",
    "attn_v.weight",
    "attn_qkv.weight",
    "attn_output.weight",
    "ffn_gate.weight",
    "ffn_up.weight",
    "ffn_up.weight",
    "ffn_down.weight",
    "blk.{}.",
)
CONFIG_NAMES = Names(
    "embed_tokens.weight",
    "lm_head.weight",
    "self_attn.q_proj.weight",
    "self_attn.k_proj.weight",
    "self_attn.v_proj.weight",
    "self_attn.qkv_proj.weight",
    "self_attn.o_proj.weight",
    "mlp.gate_proj.weight",
    "mlp.up_proj.weight",
    "mlp.gate_up_proj.weight",
    "mlp.down_proj.weight",
    "layers.{}.",
)


def check_shapes(claimed: Transformer, file: WeightsFile, names: Names, *, start: str = "") -> None:
    """Hold every matrix of the network against the dimensions.

    Args:
        claimed: by the header or config.
        file: with the tensors.
        names: of its format.
        start: of the names of all tensors but the head's.

    Raises:
        ModelError: a matrix is missing, has another shape, or belongs to a layer beyond the last.
    """
    shapes = {tensor.name: tensor.shape for tensor in file.tensors}
    for name, shape in expected(claimed, names, start=start).items():
        found = shapes.get(name)
        if found is None:
            raise ModelError(f"the file holds no tensor {name!r}, which {_dimensions(claimed)} needs", hint=_HINT)
        if found != shape:
            raise ModelError(
                f"tensor {name!r} has the shape {_sizes(found)}, and {_dimensions(claimed)} gives {_sizes(shape)}",
                hint=_HINT,
            )
    beyond = start + names.layer.format(claimed.layers)
    extra = next((name for name in shapes if name.startswith(beyond)), None)
    if extra is not None:
        raise ModelError(f"the file states {claimed.layers} layers, and holds the tensor {extra!r}", hint=_HINT)


def expected(claimed: Transformer, names: Names, *, start: str = "") -> dict[str, tuple[int, ...]]:
    """Shape by name of every matrix, as rows x columns."""
    embedding = (claimed.vocabulary, claimed.width)
    found: dict[str, tuple[int, ...]] = {start + names.embedding: embedding}
    if not claimed.tied:
        found[names.head] = embedding
    for layer in range(claimed.layers):
        before = start + names.layer.format(layer)
        found.update({before + name: shape for name, shape in _layer(claimed, names).items()})
    return found


def _layer(claimed: Transformer, names: Names) -> dict[str, tuple[int, ...]]:
    width, hidden = claimed.width, claimed.feed_forward
    query = claimed.heads * claimed.key_width
    key, value = claimed.kv_heads * claimed.key_width, claimed.kv_heads * claimed.value_width
    found: dict[str, tuple[int, ...]] = {
        names.attention_out: (width, claimed.heads * claimed.value_width),
        names.down: (width, hidden),
    }
    if claimed.architecture == "phi3":
        found |= {names.joined: (query + key + value, width), names.gate_up: (2 * hidden, width)}
    else:
        found |= {names.query: (query, width), names.key: (key, width), names.value: (value, width)}
        found |= {names.gate: (hidden, width), names.up: (hidden, width)}
    return found


def _dimensions(claimed: Transformer) -> str:
    return (
        f"a {claimed.architecture} of {claimed.layers} layers, width {claimed.width:,}, {claimed.heads} heads of "
        f"{claimed.key_width} on {claimed.kv_heads}, hidden {claimed.feed_forward:,} and {claimed.vocabulary:,} tokens"
    )


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{size:,}" for size in shape)
