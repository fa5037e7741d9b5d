"""Tiny language models of random weights, as GGUF files that llama.cpp loads: for tests of all that reads or runs one.

The family is llama: RMSNorm, rotary positions, grouped attention, SwiGLU. The tokenizer is byte-level BPE as GPT-2 has
it (tokenizer.ggml.model gpt2) with a few merges, so that any text is tokens and back. Shapes and names as llama.cpp's
convert_hf_to_gguf.py writes them, the rows of q and k too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import gguf
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_MERGES = """Ġ t|Ġ a|i n|h e|r e|Ġt he|o n|e r|Ġ s|a t|Ġ w|o u|Ġ o|n d|Ġ c|i t|e s|o r|e n|Ġ b|Ġa nd|in g|Ġ f|a l|
Ġo f|Ġt o|a r|Ġ p|i s|e d|Ġ m|a n|Ġ in|l l|Ġ h|Ġ d|i c|l e|r o|Ġ n|er s"""
MERGES = tuple(_MERGES.replace("\n", "").split("|"))
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_NORMAL, _CONTROL = 1, 3  # enum llama_token_type


@dataclass(frozen=True)
class Tiny:
    """What to make.

    Args:
        width: of the residual stream; 256 takes K types, 64 and 96 do not.
        layers: blocks.
        heads: of the queries; width / heads is a head's size.
        kv_heads: of keys and values.
        hidden: width of the feed-forward part.
        context: positions.
        tied: the embedding is the head too.
        type: of all matrices: F32, F16, or a type that `gguf.quants` writes, such as Q8_0.
        seed: of the weights.
    """

    width: int = 256
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    hidden: int = 512
    context: int = 256
    tied: bool = True
    type: str = "F32"
    seed: int = 0


WIDE = Tiny()
NARROW = Tiny(width=64, heads=2, kv_heads=1, hidden=160)
ODD = Tiny(width=96, heads=3, kv_heads=1, hidden=224, tied=False)


def byte_letters() -> list[str]:
    """The letter that stands for each of the 256 bytes in a vocabulary of GPT-2 (Radford et al. 2019, encoder.py)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in shown]
    letters = {byte: chr(byte) for byte in shown} | {byte: chr(256 + place) for place, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


def vocabulary() -> list[str]:
    """All tokens: the special ones, the bytes, the merges."""
    return [*SPECIAL, *byte_letters(), *(merge.replace(" ", "") for merge in MERGES)]


def tiny_gguf(path: Path, what: Tiny = WIDE) -> Path:
    """Write the model to `path`; the same bytes for the same `what`."""
    writer = gguf.GGUFWriter(str(path), "llama")
    _describe(writer, what)
    kind = gguf.GGMLQuantizationType[what.type]
    for name, weight in tiny_weights(what).items():
        if weight.ndim == 1:
            writer.add_tensor(name, weight)
        else:
            writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tiny_weights(what: Tiny = WIDE) -> dict[str, np.ndarray]:
    """The weights by name, float32, outermost axis first, before any rounding.

    Their sizes are drawn so that no layer drowns another, and the columns differ in weight as in trained models.
    """
    random = np.random.default_rng(what.seed)
    vocab, width, kv = len(vocabulary()), what.width, what.width // what.heads * what.kv_heads

    def matrix(rows: int, columns: int, gain: float = 1.0) -> np.ndarray:
        spread = np.exp(0.5 * random.standard_normal(columns))
        return (gain * random.standard_normal((rows, columns)) * spread / columns**0.5).astype(np.float32)

    found = {"token_embd.weight": matrix(vocab, width, 2.0)}
    for layer in range(what.layers):
        shapes = {
            "attn_norm": None, "attn_q": (width, width), "attn_k": (kv, width), "attn_v": (kv, width),
            "attn_output": (width, width), "ffn_norm": None, "ffn_gate": (what.hidden, width),
            "ffn_up": (what.hidden, width), "ffn_down": (width, what.hidden),
        }  # fmt: skip
        for name, shape in shapes.items():
            norm = (1 + 0.1 * random.standard_normal(width)).astype(np.float32)
            found[f"blk.{layer}.{name}.weight"] = norm if shape is None else matrix(*shape)
    found["output_norm.weight"] = (1 + 0.1 * random.standard_normal(width)).astype(np.float32)
    if not what.tied:
        found["output.weight"] = matrix(vocab, width, 2.0)
    return found


def _describe(writer: gguf.GGUFWriter, what: Tiny) -> None:
    writer.add_name("Tiny")
    writer.add_context_length(what.context)
    writer.add_embedding_length(what.width)
    writer.add_block_count(what.layers)
    writer.add_feed_forward_length(what.hidden)
    writer.add_head_count(what.heads)
    writer.add_head_count_kv(what.kv_heads)
    writer.add_rope_dimension_count(what.width // what.heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(vocabulary()))
    writer.add_file_type({"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7}.get(what.type, 0))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary())
    writer.add_token_types([_CONTROL] * len(SPECIAL) + [_NORMAL] * (len(vocabulary()) - len(SPECIAL)))
    writer.add_token_merges(list(MERGES))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)
