"""The networks that are understood here: Llama and its closest relatives, by the header of a GGUF file.

Names and rules of tensors and keys: docs/gguf.md of github.com/ggml-org/ggml. A header that says more than is computed
here is refused by name: a forward pass that leaves something out would rank tensors wrongly and say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.base.errors import ModelError
from shoestring.domain.weights import WeightsFile

FAMILIES = {"llama": "neighbours", "qwen2": "halves", "qwen3": "halves"}
"""Which numbers of a head the rotary embedding turns together: llama's weights are permuted on conversion."""
LAYER_LINEARS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
READS = {
    "attn_q": "attention", "attn_k": "attention", "attn_v": "attention", "attn_output": "mixed",
    "ffn_gate": "feed", "ffn_up": "feed", "ffn_down": "hidden",
}  # fmt: skip
"""What each linear layer multiplies: those that read the same share a Gram matrix."""
EMBEDDING, HEAD, HEAD_READS = "token_embd", "output", "final"
NOT_COMPUTED = ("expert_count", "attention.sliding_window", "attn_logit_softcapping", "rope.scaling.factor")


@dataclass(frozen=True)
class Family:
    """What the computation needs to know.

    Args:
        architecture: one of FAMILIES.
        layers: blocks of attention and feed-forward.
        width: of the residual stream.
        heads: of the queries.
        kv_heads: of keys and values; divides `heads`.
        head_width: of one head.
        vocabulary: tokens.
        rope_base: of the rotary embedding.
        rope_width: numbers of a head that turn.
        halves: whether number i turns with i + rope_width / 2 (true) or its neighbour (false).
        epsilon: of the norms.
        tied: whether the head is the embedding itself.
        names: of all tensors in the file.
    """

    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    rope_base: float
    rope_width: int
    halves: bool
    epsilon: float
    tied: bool
    names: frozenset[str]

    @property
    def head_name(self) -> str:
        """The tensor that gives the logits."""
        return f"{EMBEDDING if self.tied else HEAD}.weight"

    def linears(self) -> list[str]:
        """Names of all matrices stored in blocks: layers in order, the head, an embedding of its own."""
        found = [f"blk.{layer}.{role}.weight" for layer in range(self.layers) for role in LAYER_LINEARS]
        return [*found, self.head_name, *(() if self.tied else (f"{EMBEDDING}.weight",))]


def family_of(header: WeightsFile) -> Family:
    """Read the facts.

    Raises:
        ModelError: another architecture, a key that is missing or means something that is not computed here.
    """
    kind = header.architecture
    if header.format != "GGUF" or kind not in FAMILIES:
        raise ModelError(
            f"mixes of block types are made for GGUF files of {', '.join(FAMILIES)}, not for {header.format} of {kind}",
            hint="use the file in the type that its publisher offers",
        )
    for key in NOT_COMPUTED:
        if header.metadata.get(f"{kind}.{key}"):
            raise ModelError(f"{kind}.{key} = {header.metadata[f'{kind}.{key}']} is not computed here")
    scaling = header.metadata.get(f"{kind}.rope.scaling.type", "none")
    if scaling != "none":
        raise ModelError(f"{kind}.rope.scaling.type = {scaling!r} is not computed here")
    names = frozenset(tensor.name for tensor in header.tensors)
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    layers, width = _count(header, "block_count"), _count(header, "embedding_length")
    heads = _count(header, "attention.head_count")
    head_width = _count(header, "attention.key_length", width // heads)
    family = Family(
        kind,
        layers,
        width,
        heads,
        _count(header, "attention.head_count_kv", heads),
        head_width,
        shapes.get(f"{EMBEDDING}.weight", (0,))[0],
        _number(header, "rope.freq_base", 10_000.0),
        _count(header, "rope.dimension_count", head_width),
        FAMILIES[kind] == "halves",
        _number(header, "attention.layer_norm_rms_epsilon", None),
        f"{HEAD}.weight" not in names,
        names,
    )
    if heads % family.kv_heads or _count(header, "attention.value_length", head_width) != head_width:
        raise ModelError(
            f"{heads} heads over {family.kv_heads} of keys, or values of another width, are not computed here"
        )
    missing = [name for name in [*family.linears(), "output_norm.weight"] if name not in names]
    if missing:
        raise ModelError(f"the file has no tensor {missing[0]!r}", hint="it is no complete model of its family")
    return family


def _count(header: WeightsFile, key: str, default: int | None = None) -> int:
    found = header.metadata.get(f"{header.architecture}.{key}", default)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ModelError(f"{header.architecture}.{key} is {found!r}, and must be a whole number above 0")
    return found


def _number(header: WeightsFile, key: str, default: float | None) -> float:
    found = header.metadata.get(f"{header.architecture}.{key}", default)
    if not isinstance(found, int | float) or isinstance(found, bool) or not found > 0:
        raise ModelError(f"{header.architecture}.{key} is {found!r}, and must be a number above 0")
    return float(found)
