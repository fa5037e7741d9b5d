"""The way back: a GGUF file of the llama family as a Hugging Face folder, written apart from the importer."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from hf_decoders import byte_step
from hf_folders import added
from shoestring.domain.weights import LongList, WeightsFile
from shoestring.importers.gguf.header import read_header
from shoestring.weights.tensors import open_tensors

_LAYER = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip
_OTHERS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
CONTROL, USER_DEFINED = 3, 4


def strings(path: Path, found: LongList) -> list[str]:
    """All texts of a list."""
    data = path.read_bytes()[found.offset : found.offset + found.size_bytes]
    texts, at = [], 0
    for _ in range(found.count):
        (size,) = struct.unpack_from("<Q", data, at)
        texts.append(data[at + 8 : at + 8 + size].decode())
        at += 8 + size
    return texts


def tokenizer_of(path: Path, header: WeightsFile) -> dict[str, Any]:
    """tokenizer.json of a file whose texts are cut as SmolLM's."""
    assert header.metadata["tokenizer.ggml.pre"] == "smollm"
    lists = {name: header.metadata[f"tokenizer.ggml.{name}"] for name in ("tokens", "merges", "token_type")}
    tokens, merges = strings(path, lists["tokens"]), strings(path, lists["merges"])
    kinds = np.frombuffer(path.read_bytes(), np.int32, lists["token_type"].count, lists["token_type"].offset)
    steps = [{"type": "Digits", "individual_digits": True}, byte_step(True)]
    beside = [
        added(word, index, special=kind == CONTROL)
        for index, (word, kind) in enumerate(zip(tokens, kinds.tolist(), strict=True))
        if kind in (CONTROL, USER_DEFINED)
    ]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": beside, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}, "post_processor": byte_step(True),
        "decoder": byte_step(True),
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {word: index for index, word in enumerate(tokens)}, "merges": merges,
        },
    }  # fmt: skip


def config_of(header: WeightsFile) -> dict[str, Any]:
    """config.json of such a file."""
    pairs = {key.removeprefix("llama."): value for key, value in header.metadata.items()}
    return {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu",
        "hidden_size": pairs["embedding_length"], "intermediate_size": pairs["feed_forward_length"],
        "num_hidden_layers": pairs["block_count"], "num_attention_heads": pairs["attention.head_count"],
        "num_key_value_heads": pairs["attention.head_count_kv"], "max_position_embeddings": pairs["context_length"],
        "rms_norm_eps": pairs["attention.layer_norm_rms_epsilon"], "rope_theta": pairs["rope.freq_base"],
        "vocab_size": pairs["vocab_size"], "tie_word_embeddings": True,
        "bos_token_id": pairs["tokenizer.ggml.bos_token_id"], "eos_token_id": pairs["tokenizer.ggml.eos_token_id"],
    }  # fmt: skip


def stored_name(name: str) -> str:
    """Hugging Face's name of a GGUF tensor."""
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{_LAYER[parts[2]]}.{parts[3]}"
    return f"{_OTHERS[parts[0]]}.{parts[1]}"


def halves(values: np.ndarray, heads: int) -> np.ndarray:
    """Neighbouring rows of each head back into two halves."""
    size = values.shape[0] // heads
    order = np.concatenate(
        [np.arange(head * size, (head + 1) * size).reshape(-1, 2).T.ravel() for head in range(heads)]
    )
    return values[order]


def write_folder(path: Path, folder: Path) -> WeightsFile:
    """Write the folder, weights dequantised to float32; returns the header of the file that it was made of."""
    header = read_header(path)
    config = config_of(header)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_of(path, header)))
    entries, at = {}, 0
    for tensor in header.tensors:
        size = 4 * tensor.elements
        entries[stored_name(tensor.name)] = {
            "dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + size]
        }  # fmt: skip
        at += size
    data = json.dumps(entries).encode()
    with (folder / "model.safetensors").open("wb") as out, open_tensors(path, header) as tensors:
        out.write(struct.pack("<Q", len(data)) + data)
        for tensor in header.tensors:
            values = tensors.floats(tensor.name)
            role = tensor.name.split(".")[-2]
            out.write(np.ascontiguousarray(halves(values, heads[role]) if role in heads else values).tobytes())
    return header
