"""Folders as Hugging Face lays them out, with seeded weights: small ones of every family, and ways to write them.

Numbers come from numpy's RandomState, whose stream is frozen, so that what transformers answered once to these very
weights (tests/hf_oracle.py) can be kept beside the tests.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

Tensors = dict[str, np.ndarray]
NAMES = {
    np.dtype(np.float32): "F32",
    np.dtype(np.float16): "F16",
    np.dtype(np.uint16): "BF16",
    np.dtype(np.int64): "I64",
}


def safetensors(tensors: Tensors) -> bytes:
    """uint16 arrays are taken for the bits of bfloat16."""
    header, at = {}, 0
    for name, value in tensors.items():
        header[name] = {
            "dtype": NAMES[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [at, at + value.nbytes],
        }
        at += value.nbytes
    data = json.dumps(header).encode()
    return (
        struct.pack("<Q", len(data)) + data + b"".join(np.ascontiguousarray(one).tobytes() for one in tensors.values())
    )


def save(folder: Path, config: dict[str, Any], tensors: Tensors, tokenizer: dict[str, Any], **files: Any) -> Path:
    """Write a folder; `files` are more JSON files by their stems, `/` written as `__`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(safetensors(tensors))
    for name, value in {"config": config, "tokenizer": tokenizer, **files}.items():
        path = folder / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")
    return folder


def save_shards(folder: Path, tensors: Tensors, count: int) -> None:
    """Put the weights of a folder into `count` files and an index."""
    (folder / "model.safetensors").unlink(missing_ok=True)
    names = list(tensors)
    place = {}
    for number in range(count):
        file = f"model-{number + 1:05d}-of-{count:05d}.safetensors"
        part = {name: tensors[name] for name in names[number::count]}
        (folder / file).write_bytes(safetensors(part))
        place |= dict.fromkeys(part, file)
    total = sum(value.nbytes for value in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": place}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


class Draw:
    """Seeded weights of sensible sizes."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.RandomState(seed)

    def matrix(self, *shape: int) -> np.ndarray:
        return (self._random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    def near(self, centre: float, *shape: int) -> np.ndarray:
        return (centre + 0.2 * self._random.standard_normal(shape)).astype(np.float32)


# --- encoders --------------------------------------------------------------------------------------------------------
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *(chr(97 + i) for i in range(26)),
    *(f"##{chr(97 + i)}" for i in range(26)),
]
BERT = {
    "model_type": "bert", "architectures": ["BertModel"], "vocab_size": len(WORDS), "hidden_size": 24,
    "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40, "max_position_embeddings": 20,
    "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu", "pad_token_id": 0,
}  # fmt: skip
DISTILBERT = {
    "model_type": "distilbert", "architectures": ["DistilBertForSequenceClassification"], "vocab_size": len(WORDS),
    "dim": 24, "n_layers": 2, "n_heads": 3, "hidden_dim": 40, "max_position_embeddings": 20, "activation": "gelu",
    "pad_token_id": 0, "id2label": {"0": "bad", "1": "fair", "2": "good"}, "label2id": {"bad": 0, "fair": 1, "good": 2},
}  # fmt: skip
ROBERTA = {"model_type": "roberta", "pad_token_id": 1, "type_vocab_size": 1}
LABELS = {"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}}
ENCODERS: dict[str, dict[str, Any]] = {
    "bert": BERT,
    "bert-tanh": {**BERT, "hidden_act": "gelu_new", "layer_norm_eps": 1e-5},
    "bert-relu-classifier": {
        **BERT, **LABELS, "architectures": ["BertForSequenceClassification"], "hidden_act": "relu",
    },
    "roberta": {**BERT, **ROBERTA, "architectures": ["RobertaModel"]},
    "roberta-classifier": {**BERT, **ROBERTA, **LABELS, "architectures": ["RobertaForSequenceClassification"]},
    "distilbert": {**DISTILBERT, "architectures": ["DistilBertModel"]},
    "distilbert-classifier": DISTILBERT,
}  # fmt: skip


def wordpiece(words: list[str] | None = None) -> dict[str, Any]:
    """A tokenizer of BERT's kind."""
    vocabulary = {word: index for index, word in enumerate(words or WORDS)}
    special = [added(word, vocabulary[word]) for word in WORDS[:5]]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": None, "decoder": None,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary,
        },
    }  # fmt: skip


def added(word: str, number: int, *, special: bool = True) -> dict[str, Any]:
    """A token beside the vocabulary of the model."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": number, "content": word, "special": special, **flags}


def encoder_tensors(config: dict[str, Any], seed: int = 0) -> Tensors:
    """All weights of an encoder, under the names of Hugging Face's class."""
    draw, kind = Draw(seed), config["model_type"]
    distil = kind == "distilbert"
    width, hidden, layers = (
        config[key]
        for key in (
            ("dim", "hidden_dim", "n_layers") if distil else ("hidden_size", "intermediate_size", "num_hidden_layers")
        )
    )
    head = config["architectures"][0].endswith("Classification")
    prefix = f"{kind}." if head else ""
    found: Tensors = {}

    def linear(name: str, inputs: int, outputs: int) -> None:
        found[f"{name}.weight"] = draw.matrix(outputs, inputs) * 2
        found[f"{name}.bias"] = draw.near(0, outputs)

    def norm(name: str) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = draw.near(1, width), draw.near(0, width)

    at = f"{prefix}embeddings"
    found[f"{at}.word_embeddings.weight"] = draw.near(0, config["vocab_size"], width)
    found[f"{at}.position_embeddings.weight"] = draw.near(0, config["max_position_embeddings"], width)
    if not distil:
        found[f"{at}.token_type_embeddings.weight"] = draw.near(0, config["type_vocab_size"], width)
    norm(f"{at}.LayerNorm")
    for index in range(layers):
        at = f"{prefix}transformer.layer.{index}" if distil else f"{prefix}encoder.layer.{index}"
        for name in ("q_lin", "k_lin", "v_lin") if distil else ("self.query", "self.key", "self.value"):
            linear(f"{at}.attention.{name}", width, width)
        linear(f"{at}.attention.{'out_lin' if distil else 'output.dense'}", width, width)
        norm(f"{at}.{'sa_layer_norm' if distil else 'attention.output.LayerNorm'}")
        linear(f"{at}.{'ffn.lin1' if distil else 'intermediate.dense'}", width, hidden)
        linear(f"{at}.{'ffn.lin2' if distil else 'output.dense'}", hidden, width)
        norm(f"{at}.{'output_layer_norm' if distil else 'output.LayerNorm'}")
    if kind == "bert":
        linear(f"{prefix}pooler.dense", width, width)
    if head:
        _head(linear, kind, width, len(config["id2label"]))
    return found


def _head(linear: Any, kind: str, width: int, classes: int) -> None:
    if kind == "roberta":
        linear("classifier.dense", width, width)
    if kind == "distilbert":
        linear("pre_classifier", width, width)
    linear("classifier.out_proj" if kind == "roberta" else "classifier", width, classes)


def encoder_inputs(config: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Three texts of unlike lengths, filled up: ids and mask."""
    random = np.random.RandomState(7)
    ids, mask = random.randint(5, config["vocab_size"], (3, 9)), np.ones((3, 9), np.int64)
    for row, length in enumerate((9, 4, 1)):
        mask[row, length:] = 0
        ids[row, length:] = config["pad_token_id"]
    return ids.astype(np.int64), mask


def minilm_inputs() -> tuple[np.ndarray, np.ndarray]:
    """Two texts for MiniLM, one of them filled up."""
    ids, mask = np.random.RandomState(9).randint(1_000, 20_000, (2, 40)), np.ones((2, 40), np.int64)
    ids[1, 13:], mask[1, 13:] = 0, 0
    return ids.astype(np.int64), mask


def encoder(folder: Path, name: str, **files: Any) -> Path:
    """Write the small encoder of that name."""
    config = ENCODERS[name]
    return save(folder, config, encoder_tensors(config), wordpiece(), **files)


def sentence_files(pooling: str = "mean_tokens", *, normalize: bool = True, longest: int = 16) -> dict[str, Any]:
    """What sentence-transformers writes beside an encoder."""
    kinds = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
    paths = ["", "1_Pooling", "2_Normalize"]
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (kind, path) in enumerate(zip(kinds, paths, strict=False))
    ]
    modes = {f"pooling_mode_{mode}": mode == pooling for mode in ("cls_token", "mean_tokens", "max_tokens")}
    return {"modules": modules, "1_Pooling__config": modes, "sentence_bert_config": {"max_seq_length": longest}}
