"""Small decoders of every family in Hugging Face's layout, with seeded weights and tokenizers made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import hf_folders
from hf_folders import Draw, Tensors, added

BASE = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "bos_token_id": 1,
    "eos_token_id": 2, "vocab_size": 300, "hidden_act": "silu", "tie_word_embeddings": False, "rope_theta": 10_000.0,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
GEMMA = {
    "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": True,
    "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 8,
}  # fmt: skip
CAPS = {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
DECODERS: dict[str, dict[str, Any]] = {
    "llama": {**BASE, "model_type": "llama", "architectures": ["LlamaForCausalLM"]},
    "llama-tied": {**BASE, "model_type": "llama", "architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True},
    "llama-biases": {
        **BASE, "model_type": "llama", "architectures": ["LlamaForCausalLM"], "attention_bias": True, "mlp_bias": True,
    },
    "llama3-rope": {
        **BASE, "model_type": "llama", "architectures": ["LlamaForCausalLM"], "rope_theta": 500.0,
        "rope_scaling": LLAMA3,
    },
    "llama-linear": {
        **BASE, "model_type": "llama", "architectures": ["LlamaForCausalLM"], "rope_parameters":
        {"rope_theta": 10_000.0, "rope_type": "linear", "factor": 4.0}, "rope_theta": None,
    },
    "mistral": {
        **BASE, "model_type": "mistral", "architectures": ["MistralForCausalLM"], "head_dim": 24, "sliding_window": 128,
    },
    "smollm3": {
        **BASE, "model_type": "smollm3", "architectures": ["SmolLM3ForCausalLM"], "num_hidden_layers": 5,
        "no_rope_layers": [1, 1, 1, 0, 1], "no_rope_layer_interval": 4, "tie_word_embeddings": True, "pad_token_id": 0,
    },
    "qwen2": {**BASE, "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "rope_theta": 1e6},
    "qwen2-yarn": {**BASE, "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "rope_scaling": YARN},
    "qwen3": {
        **BASE, "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "head_dim": 32,
        "tie_word_embeddings": True,
    },
    "gemma2": {**BASE, **GEMMA, **CAPS, "model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"]},
    "gemma3": {
        **BASE, **GEMMA, "model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"], "num_hidden_layers": 7,
        "rope_theta": 1e6, "rope_local_base_freq": 10_000.0, "hidden_act": None,
    },
}  # fmt: skip


SHOWN = (0, 11, 23)
"""Places of the text whose answers are kept."""


def decoder_tensors(config: dict[str, Any], seed: int = 3) -> Tensors:
    """All weights of a decoder, under the names of Hugging Face's class."""
    draw, kind = Draw(seed), config["model_type"]
    gemma = kind.startswith("gemma")
    width, hidden = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or width // config["num_attention_heads"]
    queries, keys = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    found: Tensors = {"model.embed_tokens.weight": draw.near(0, config["vocab_size"], width)}

    def linear(name: str, outputs: int, inputs: int, flag: str) -> None:
        found[f"{name}.weight"] = draw.matrix(outputs, inputs) * np.float32(1.5)
        if config.get(flag) or (kind == "qwen2" and name.endswith(("q_proj", "k_proj", "v_proj"))):
            found[f"{name}.bias"] = draw.near(0, outputs)

    def norm(name: str, size: int) -> None:
        found[f"{name}.weight"] = draw.near(0.0 if gemma else 1.0, size)

    for index in range(config["num_hidden_layers"]):
        at = f"model.layers.{index}"
        for name, outputs, inputs in (
            ("q_proj", queries, width),
            ("k_proj", keys, width),
            ("v_proj", keys, width),
            ("o_proj", width, queries),
        ):
            linear(f"{at}.self_attn.{name}", outputs, inputs, "attention_bias")
        for name, outputs, inputs in (
            ("gate_proj", hidden, width),
            ("up_proj", hidden, width),
            ("down_proj", width, hidden),
        ):
            linear(f"{at}.mlp.{name}", outputs, inputs, "mlp_bias")
        norm(f"{at}.input_layernorm", width)
        norm(f"{at}.post_attention_layernorm", width)
        if gemma:
            norm(f"{at}.pre_feedforward_layernorm", width)
            norm(f"{at}.post_feedforward_layernorm", width)
        if kind in ("qwen3", "gemma3_text"):
            norm(f"{at}.self_attn.q_norm", head)
            norm(f"{at}.self_attn.k_norm", head)
    norm("model.norm", width)
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = draw.near(0, config["vocab_size"], width)
    return found


def decoder_ids(config: dict[str, Any], count: int = 24) -> list[int]:
    """One text: longer than the sliding windows above."""
    return [1, *(int(one) for one in np.random.RandomState(11).randint(3, config["vocab_size"], count - 1))]


def decoder(folder: Path, name: str, **files: Any) -> Path:
    """Write the small decoder of that name."""
    config = DECODERS[name]
    return hf_folders.save(folder, config, decoder_tensors(config), byte_level(), **files)


# --- tokenizers ------------------------------------------------------------------------------------------------------
LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_PATTERN = LLAMA3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")
SPECIAL = ["<unk>", "<s>", "</s>"]


def letters() -> list[str]:
    """GPT-2's letters for the 256 bytes: printable ones stand for themselves, the others for letters from 256 on."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [
        chr(byte) if byte in shown else chr(256 + sum(1 for one in range(byte) if one not in shown))
        for byte in range(256)
    ]


def split(pattern: str) -> list[dict[str, Any]]:
    """Pre-tokenizer steps of the newer byte-level models."""
    return [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}, byte_step(False)]


def byte_step(use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


PRE: dict[str, dict[str, Any]] = {
    "gpt-2": {"steps": [byte_step(True)]},
    "smollm": {"steps": [{"type": "Digits", "individual_digits": True}, byte_step(True)]},
    "llama-bpe": {"steps": split(LLAMA3_PATTERN), "ignore_merges": True},
    "qwen2": {"steps": split(QWEN_PATTERN), "normalizer": {"type": "NFC"}},
}


def byte_level(pre: str = "gpt-2", merges: list[tuple[str, str]] | None = None) -> dict[str, Any]:
    """A byte-level tokenizer: three special words, the bytes, and a word for every merge."""
    made = PRE[pre]
    merges = [("h", "e"), ("Ġ", "t"), ("Ġt", "he"), ("i", "n"), ("1", "2"), ("Ġ", "Ġ")] if merges is None else merges
    words = [*SPECIAL, *letters(), *dict.fromkeys(left + right for left, right in merges)]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added(word, index) for index, word in enumerate(SPECIAL)],
        "normalizer": made.get("normalizer"),
        "pre_tokenizer": made["steps"][0] if len(made["steps"]) == 1 else
        {"type": "Sequence", "pretokenizers": made["steps"]},
        "post_processor": byte_step(True), "decoder": byte_step(True),
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "ignore_merges": made.get("ignore_merges", False),
            "vocab": {word: index for index, word in enumerate(words)}, "merges": [" ".join(pair) for pair in merges],
        },
    }  # fmt: skip


def sentence_pieces(merges: list[tuple[str, str]], *, prepend: bool, more: list[str] | None = None) -> dict[str, Any]:
    """A tokenizer as sentencepiece's become: words of letters, bytes as a last resort."""
    characters = dict.fromkeys(letter for pair in merges for part in pair for letter in part)
    words = [*SPECIAL, *(f"<0x{value:02X}>" for value in range(256))]
    words += [*dict.fromkeys(left + right for left, right in merges), *characters]
    extra = more or []
    blanks = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    before = [{"type": "Prepend", "prepend": "▁"}] if prepend else []
    template = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added(word, index) for index, word in enumerate(SPECIAL)]
        + [added(word, len(words) + index, special=False) for index, word in enumerate(extra)],
        "normalizer": {"type": "Sequence", "normalizers": [*before, blanks]}, "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing", "single": template, "pair": template,
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": None,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
            "vocab": {word: index for index, word in enumerate(words)}, "merges": [list(pair) for pair in merges],
        },
    }  # fmt: skip
