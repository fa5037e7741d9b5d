"""One block of the network, forward and backward, for sequences side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from shoestring.compress.language.family import LAYER_LINEARS, Family
from shoestring.compress.language.operators import Float, attend, attend_back, gate, norm, norm_back, turn, turns

Reader = Callable[[str], Float]
"""Gives a tensor of the file by its name, in float32."""
_OPTIONAL = ("attn_q_norm", "attn_k_norm")


@dataclass(frozen=True)
class LayerWeights:
    """Of one block.

    Args:
        matrices: by role, (outputs, inputs).
        biases: of the roles that have one.
        norms: by role: attn_norm, ffn_norm and, in qwen3, attn_q_norm and attn_k_norm.
        cosines, sines: of the rotary embedding.
    """

    matrices: Mapping[str, Float]
    biases: Mapping[str, Float]
    norms: Mapping[str, Float]
    cosines: Float
    sines: Float


@dataclass(frozen=True)
class Trace:
    """What a block computed on the way: all that its derivative needs.

    Args:
        reads: what linear layers multiply, by the words of family.READS: attention, mixed, feed, hidden.
        kept: everything else, by name.
    """

    reads: dict[str, Float]
    kept: dict[str, Float]


def layer_weights(read: Reader, family: Family, layer: int, positions: int) -> LayerWeights:
    """Read one block's tensors."""

    def named(roles: tuple[str, ...], ending: str) -> dict[str, Float]:
        names = {role: f"blk.{layer}.{role}.{ending}" for role in roles}
        return {role: read(name) for role, name in names.items() if name in family.names}

    factors = read("rope_freqs.weight") if "rope_freqs.weight" in family.names else None
    cosines, sines = turns(positions, family.rope_width, family.rope_base, factors)
    norms = named(("attn_norm", "ffn_norm", *_OPTIONAL), "weight")
    return LayerWeights(named(LAYER_LINEARS, "weight"), named(LAYER_LINEARS, "bias"), norms, cosines, sines)


def forward(weights: LayerWeights, family: Family, h: Float) -> tuple[Float, Trace]:
    """One block.

    Args:
        weights: of the block.
        family: of the network.
        h: (sequences, positions, width) residual stream.

    Returns:
        The residual stream after it, and the trace.
    """
    kept: dict[str, Float] = {"h": h}
    x, kept["attn_inverse"] = norm(h, weights.norms["attn_norm"], family.epsilon)
    for name, heads in (("q", family.heads), ("k", family.kv_heads), ("v", family.kv_heads)):
        kept[name] = _split(_linear(weights, f"attn_{name}", x), heads)
    for name in ("q", "k"):
        if f"attn_{name}_norm" in weights.norms:
            kept[f"{name}_raw"] = kept[name]
            kept[name], kept[f"{name}_inverse"] = norm(kept[name], weights.norms[f"attn_{name}_norm"], family.epsilon)
        kept[name] = turn(kept[name], weights.cosines, weights.sines, family.halves)
    read, kept["attention"] = attend(kept["q"], kept["k"], kept["v"])
    mixed = _joined(read)
    middle = h + _linear(weights, "attn_output", mixed)
    y, kept["ffn_inverse"] = norm(middle, weights.norms["ffn_norm"], family.epsilon)
    kept["middle"], kept["gate"], kept["up"] = middle, _linear(weights, "ffn_gate", y), _linear(weights, "ffn_up", y)
    hidden = gate(kept["gate"])[0] * kept["up"]
    out = middle + _linear(weights, "ffn_down", hidden)
    return out, Trace({"attention": x, "mixed": mixed, "feed": y, "hidden": hidden}, kept)


def backward(weights: LayerWeights, family: Family, trace: Trace, gradient: Float) -> tuple[Float, dict[str, Float]]:
    """The derivative of `forward`.

    Args:
        weights: of the block.
        family: of the network.
        trace: of `forward`.
        gradient: at the block's output, (sequences, positions, width).

    Returns:
        The gradient at its input, and at the output of each linear layer by role.
    """
    kept, at = trace.kept, {"ffn_down": gradient}
    inside = gradient @ weights.matrices["ffn_down"]
    silu, slope = gate(kept["gate"])
    at["ffn_up"] = inside * silu
    at["ffn_gate"] = inside * kept["up"] * slope
    fed = at["ffn_up"] @ weights.matrices["ffn_up"] + at["ffn_gate"] @ weights.matrices["ffn_gate"]
    middle = gradient + norm_back(kept["middle"], weights.norms["ffn_norm"], kept["ffn_inverse"], fed)
    at["attn_output"] = middle
    read = _split(np.asarray(middle @ weights.matrices["attn_output"], dtype=np.float32), family.heads)
    parts = dict(zip("qkv", attend_back(kept["q"], kept["k"], kept["v"], kept["attention"], read), strict=True))
    for name in ("q", "k"):
        parts[name] = turn(parts[name], weights.cosines, -weights.sines, family.halves)
        if f"{name}_raw" in kept:
            scale = weights.norms[f"attn_{name}_norm"]
            parts[name] = norm_back(kept[f"{name}_raw"], scale, kept[f"{name}_inverse"], parts[name])
    entering = np.zeros_like(gradient)
    for name in "qkv":
        at[f"attn_{name}"] = _joined(parts[name])
        entering += at[f"attn_{name}"] @ weights.matrices[f"attn_{name}"]
    return middle + norm_back(kept["h"], weights.norms["attn_norm"], kept["attn_inverse"], entering), at


def _linear(weights: LayerWeights, role: str, x: Float) -> Float:
    out = x @ weights.matrices[role].T
    return out + weights.biases[role] if role in weights.biases else out


def _split(x: Float, heads: int) -> Float:
    n, t, _ = x.shape
    return np.ascontiguousarray(x.reshape(n, t, heads, -1).swapaxes(1, 2))


def _joined(x: Float) -> Float:
    n, _, t, _ = x.shape
    return np.ascontiguousarray(x.swapaxes(1, 2)).reshape(n, t, -1)
