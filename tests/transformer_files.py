"""Headers of language models that never existed, by their dimensions: as GGUF and as safetensors with a config."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import weights_files
from shoestring.analysis.transformer_shapes import CONFIG_NAMES, GGUF_NAMES, expected
from shoestring.domain.transformer import Transformer
from shoestring.domain.weights import LongList, Metadata, StoredTensor, WeightsFile
from shoestring.weights.block_types import block_types

if TYPE_CHECKING:
    from collections.abc import Callable

TINY = Transformer("llama", 2, 64, 4, 2, 16, 16, 128, 96, 512, tied=True, parameters=0)
SMOLLM2 = Transformer("llama", 30, 576, 9, 3, 64, 64, 1536, 49_152, 8_192, tied=True, parameters=0)
TYPES = {kind.name: kind for kind in block_types().values()}
NUMBERS = {kind.name: number for number, kind in block_types().items()}


def gguf_file(
    shape: Transformer = TINY, type_of: Callable[[str], str] = lambda name: "Q8_0", **metadata: Any
) -> WeightsFile:
    """A header as the reader gives it; keys of `metadata` have `__` for a dot, and None takes a key away."""
    tensors = _placed(_shapes(shape), type_of)
    keys = _keys(shape) | {key.replace("__", "."): value for key, value in metadata.items()}
    kept = {key: value for key, value in keys.items() if value is not None}
    start = tensors[0].offset
    end = tensors[-1].offset + tensors[-1].size_bytes
    return WeightsFile("GGUF", 3, shape.architecture, kept, tensors, start, end)


def _keys(shape: Transformer) -> dict[str, Metadata | None]:
    sizes = {
        "block_count": shape.layers,
        "embedding_length": shape.width,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": shape.key_width,
        "attention.value_length": shape.value_width,
        "feed_forward_length": shape.feed_forward,
        "context_length": shape.context,
        "attention.sliding_window": shape.window,
    }
    tokens = LongList("STRING", shape.vocabulary, ("a", "b"), 0, 0)
    return {f"{shape.architecture}.{key}": value for key, value in sizes.items()} | {"tokenizer.ggml.tokens": tokens}


def _shapes(shape: Transformer) -> dict[str, tuple[int, ...]]:
    """Norms before the matrices of their layer, as llama.cpp's converter puts them."""
    table, *rest = expected(shape, GGUF_NAMES).items()
    found = dict([table, ("output_norm.weight", (shape.width,))])
    for layer in range(shape.layers):
        start = GGUF_NAMES.layer.format(layer)
        found |= {f"{start}{norm}.weight": (shape.width,) for norm in ("attn_norm", "ffn_norm")}
        found |= {name: sizes for name, sizes in rest if name.startswith(start)}
    return found | {name: sizes for name, sizes in rest if not name.startswith("blk.")}


def _placed(shapes: dict[str, tuple[int, ...]], type_of: Callable[[str], str]) -> tuple[StoredTensor, ...]:
    found, at = [], 4096
    for name, sizes in shapes.items():
        kind = TYPES["F32" if len(sizes) == 1 else type_of(name)]
        size = math.prod(sizes) // kind.elements * kind.size_bytes
        found.append(StoredTensor(name, kind.name, sizes, at, size))
        at += -(-size // 32) * 32
    return tuple(found)


def gguf_bytes(shape: Transformer = TINY, type_of: Callable[[str], str] = lambda name: "Q8_0") -> bytes:
    """A whole file with zeros for weights."""
    infos, at = [], 0
    for tensor in _placed(_shapes(shape), type_of):
        infos.append(weights_files.Info(tensor.name, list(reversed(tensor.shape)), NUMBERS[tensor.type], at))
        at += -(-tensor.size_bytes // 32) * 32
    sizes = [
        (key, weights_files.scalar("UINT32", value)) for key, value in _keys(shape).items() if isinstance(value, int)
    ]
    words = weights_files.array("STRING", [f"w{number}" for number in range(shape.vocabulary)])
    pairs = [
        ("general.architecture", weights_files.string(shape.architecture)),
        *sizes,
        ("tokenizer.ggml.tokens", words),
    ]
    return weights_files.Gguf(pairs=pairs, infos=infos, body=bytes(at)).data()  # type: ignore[arg-type]


def config_file(shape: Transformer = TINY, start: str = "model.") -> WeightsFile:
    """The header of a safetensors file in BF16."""
    tensors, at = [], 512
    for name, sizes in expected(shape, CONFIG_NAMES, start=start).items():
        tensors.append(StoredTensor(name, "BF16", sizes, at, 2 * math.prod(sizes)))
        at += tensors[-1].size_bytes
    return WeightsFile("safetensors", 0, None, {}, tuple(tensors), 512, at)


def config(shape: Transformer = TINY, model_type: str | None = None, **changes: Any) -> dict[str, Any]:
    """A config.json; None takes a field away."""
    fields = {
        "model_type": model_type or shape.architecture,
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.width,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.key_width,
        "intermediate_size": shape.feed_forward,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.context,
        "tie_word_embeddings": shape.tied,
        "sliding_window": shape.window,
        **changes,
    }
    return {key: value for key, value in fields.items() if value is not None}


def without(file: WeightsFile, name: str) -> WeightsFile:
    return dataclasses.replace(file, tensors=tuple(one for one in file.tensors if one.name != name))


def reshaped(file: WeightsFile, name: str, shape: tuple[int, ...]) -> WeightsFile:
    tensors = tuple(dataclasses.replace(one, shape=shape) if one.name == name else one for one in file.tensors)
    return dataclasses.replace(file, tensors=tensors)
