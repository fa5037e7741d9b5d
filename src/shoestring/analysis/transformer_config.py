"""A language model's dimensions from its config.json (Hugging Face) and the headers of its safetensors files.

Fields and defaults: the configuration classes of github.com/huggingface/transformers (src/transformers/models).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoestring.analysis.transformer import MAX_CONTEXT, MAX_HEADS, MAX_LAYERS, MAX_VOCABULARY, MAX_WIDTH
from shoestring.analysis.transformer_shapes import CONFIG_NAMES, check_shapes
from shoestring.base.errors import ModelError
from shoestring.domain.transformer import Transformer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.domain.weights import WeightsFile

MODEL_TYPES = {
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
    "gemma3": "gemma3",
    "phi3": "phi3",
}
"""The `model_type` of a config, and the architecture that llama.cpp calls the same."""

_GEMMA: dict[str, Any] = {"head_dim": 256, "tie_word_embeddings": True}
DEFAULTS: dict[str, dict[str, Any]] = {
    "gemma": _GEMMA,
    "gemma2": _GEMMA | {"sliding_window": 4096},
    "gemma3": _GEMMA
    | {"num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 262_208, "max_position_embeddings": 131_072},
}
"""Fields that published configs of a family leave out; the tensors show whether the default was right."""

WINDOWED = ("gemma2", "gemma3")
TEXT = "text_config"
_HINT = "is it the config.json of this very model?"


def transformer_of_config(config: Mapping[str, Any], file: WeightsFile) -> Transformer:
    """The dimensions of the language model in a folder.

    Args:
        config: the object in config.json; of a model that also sees, its part for text is taken.
        file: headers of the safetensors files.

    Returns:
        What the config says, after every matrix was held against it.

    Raises:
        ModelError: an unknown `model_type`, a mixture of experts, a field that is missing or out of range, or a matrix
            that is missing or has another shape than the config says.
    """
    text = config.get(TEXT, config)
    if not isinstance(text, dict):
        raise ModelError(f"{TEXT!r} is no object", hint=_HINT)
    kind = text.get("model_type", config.get("model_type"))
    if not isinstance(kind, str) or kind not in MODEL_TYPES:
        raise ModelError(
            f"the model_type {str(kind)[:40]!r} is not one of {', '.join(MODEL_TYPES)}",
            hint="models of these families are planned and fitted; others need another tool",
        )
    architecture = MODEL_TYPES[kind]
    fields = {**DEFAULTS.get(architecture, {}), **text}
    if fields.get("num_local_experts"):
        raise ModelError("the model is a mixture of experts", hint="only dense models are planned")
    width = _size(fields, "hidden_size", MAX_WIDTH)
    heads = _size(fields, "num_attention_heads", MAX_HEADS)
    head_width = _size(fields, "head_dim", MAX_WIDTH, width // heads or None)
    found = Transformer(
        architecture=architecture,
        layers=_size(fields, "num_hidden_layers", MAX_LAYERS),
        width=width,
        heads=heads,
        kv_heads=_size(fields, "num_key_value_heads", MAX_HEADS, heads),
        key_width=head_width,
        value_width=head_width,
        feed_forward=_size(fields, "intermediate_size", MAX_WIDTH),
        vocabulary=_size(fields, "vocab_size", MAX_VOCABULARY),
        context=_size(fields, "max_position_embeddings", MAX_CONTEXT),
        tied=_tied(fields),
        parameters=file.parameters,
        window=_size(fields, "sliding_window", MAX_CONTEXT) if architecture in WINDOWED else None,
    )
    check_shapes(found, file, CONFIG_NAMES, start=_start(file))
    return found


def _start(file: WeightsFile) -> str:
    """What stands before the names of all tensors of the text part: `model.`, or more in a model that also sees."""
    for tensor in file.tensors:
        if tensor.name.endswith(CONFIG_NAMES.embedding):
            return tensor.name.removesuffix(CONFIG_NAMES.embedding)
    raise ModelError(f"no tensor is called {CONFIG_NAMES.embedding!r}", hint=_HINT)


def _tied(fields: Mapping[str, Any]) -> bool:
    """Whether the head is the embedding; where it is not, the file must hold a head (`check_shapes`)."""
    tied = fields.get("tie_word_embeddings", False)
    if not isinstance(tied, bool):
        raise ModelError(f"'tie_word_embeddings' is {tied!r}, expected true or false", hint=_HINT)
    return tied


def _size(fields: Mapping[str, Any], name: str, limit: int, absent: int | None = None) -> int:
    value = fields.get(name)
    if value is None and absent is not None:
        return absent
    if type(value) is not int or not 1 <= value <= limit:
        said = "is missing" if value is None else f"is {str(value)[:40]!r}"
        raise ModelError(f"{name!r} {said}, expected a whole number from 1 to {limit:,}", hint=_HINT)
    return value


__all__ = ["MODEL_TYPES", "transformer_of_config"]
