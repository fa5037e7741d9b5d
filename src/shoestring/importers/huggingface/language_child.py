"""The inside of the quarantine for decoders: a folder becomes a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shoestring.base import disk
from shoestring.importers.gguf import writing
from shoestring.importers.huggingface.decoder_config import Decoder, decoder_of
from shoestring.importers.huggingface.decoder_tensors import planned
from shoestring.importers.huggingface.fields import Fields
from shoestring.importers.huggingface.folder import CONFIG, Folder
from shoestring.importers.huggingface.special import special_pairs
from shoestring.importers.huggingface.stored import Stored
from shoestring.importers.huggingface.tokenizer import vocabulary_pairs
from shoestring.importers.huggingface.vocabulary import words_of

FILE_TYPES = {"F32": 0, "F16": 1, "BF16": 32}  # enum llama_ftype in llama.h, by the type of the matrices
_QUANTIZATION_VERSION = 2  # GGML_QNT_VERSION in ggml.h


def translate(request: dict[str, Any]) -> list[str]:
    """Read the folder `source` and write GGUF to `target`.

    Args:
        request: both paths, and `name` of the model.

    Returns:
        What is to be said.

    Raises:
        ModelError: the folder is unsound, or holds what llama.cpp does not have; by name.
        StorageError: `target` cannot be written.
    """
    folder = Folder(Path(request["source"]))
    config = Fields(folder.json(CONFIG), CONFIG)
    decoder = decoder_of(config)
    tokenizer = folder.tokenizer()
    words, notes = vocabulary_pairs(tokenizer, decoder.vocabulary)
    special, more = special_pairs(folder, config, tokenizer, words_of(tokenizer), decoder.vocabulary)
    tensors = planned(Stored(folder), decoder)
    kinds = {tensor.type for tensor in tensors if len(tensor.shape) == 2}
    kind = next(iter(kinds)) if len(kinds) == 1 else "F32"
    pairs = {**network_pairs(decoder, request["name"], FILE_TYPES[kind]), **words, **special}
    disk.fill_from(Path(request["target"]), writing.pieces(pairs, tensors))
    return [*decoder.notes, *notes, *more]


def network_pairs(decoder: Decoder, name: str, file_type: int) -> dict[str, bytes]:
    """GGUF's pairs for the network."""
    architecture = decoder.family.architecture
    integers = {
        "block_count": decoder.layers,
        "context_length": decoder.context,
        "embedding_length": decoder.width,
        "feed_forward_length": decoder.feed_forward,
        "attention.head_count": decoder.heads,
        "attention.head_count_kv": decoder.kv_heads,
        "attention.key_length": decoder.head_width,
        "attention.value_length": decoder.head_width,
        "rope.dimension_count": decoder.head_width,
        "vocab_size": decoder.vocabulary,
    }
    floats = {"attention.layer_norm_rms_epsilon": decoder.epsilon, "rope.freq_base": decoder.rope.theta}
    if decoder.window is not None:
        integers["attention.sliding_window"] = decoder.window
    if decoder.caps is not None:
        floats["attn_logit_softcapping"], floats["final_logit_softcapping"] = decoder.caps
    pairs = {
        "general.architecture": writing.text(architecture),
        "general.type": writing.text("model"),
        "general.name": writing.text(name),
        "general.file_type": writing.scalar("UINT32", file_type),
        "general.quantization_version": writing.scalar("UINT32", _QUANTIZATION_VERSION),
    }
    pairs |= {f"{architecture}.{key}": writing.scalar("UINT32", value) for key, value in integers.items()}
    pairs |= {f"{architecture}.{key}": writing.scalar("FLOAT32", value) for key, value in floats.items()}
    rope = decoder.rope
    if rope.kind in ("linear", "yarn"):
        pairs[f"{architecture}.rope.scaling.type"] = writing.text(rope.kind)
        pairs[f"{architecture}.rope.scaling.factor"] = writing.scalar("FLOAT32", rope.factor)
    if rope.kind == "yarn":
        pairs[f"{architecture}.rope.scaling.original_context_length"] = writing.scalar("UINT32", rope.original)
    return pairs
