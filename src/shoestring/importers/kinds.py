"""What a model is to `fit`: one of images, an encoder of text, or one that writes text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import ModelError
from shoestring.base.limits import MIB

if TYPE_CHECKING:
    from pathlib import Path

IMAGE, ENCODER, WRITER = "image", "encoder", "writer"
CONFIG = "config.json"  # of a Hugging Face folder
MAX_CONFIG_BYTES = 4 * MIB  # as MAX_MANIFEST_BYTES; published ones have 1 to 10 kB, with 1,000 class names 60
WRITERS = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gemma3_text", "phi3", "smollm3")
"""Values of `model_type` of decoders; whether one can be read is for its importer to say."""
WRITES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
"""How the architecture of a decoder ends, whatever its `model_type`."""


def kind_of(path: Path) -> str:
    """What a model is, by its first bytes or its folder; anything unknown is a model of images.

    Args:
        path: a file, or a folder of Hugging Face with `config.json`; an ONNX file of an encoder lies beside its
            `tokenizer.json`.

    Returns:
        IMAGE, ENCODER or WRITER.

    Raises:
        ModelError: a folder without a readable config.json, or a file that cannot be read.
    """
    from shoestring.importers.weights import kind_of as weights_of

    if path.is_dir():
        return _of_config(_config(path))
    kind = weights_of(path)
    if kind == "gguf":
        return WRITER
    if kind is not None:
        return _of_config(_config(path.parent))
    beside = path.is_file() and (path.parent / "tokenizer.json").is_file()
    return ENCODER if beside and path.suffix == ".onnx" else IMAGE


def _of_config(config: dict[str, Any]) -> str:
    architectures = config.get("architectures")
    named = [one for one in architectures if isinstance(one, str)] if isinstance(architectures, list) else []
    writes = config.get("model_type") in WRITERS and not any("Classification" in one for one in named)
    return WRITER if writes or any(one.endswith(WRITES) for one in named) else ENCODER


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ModelError(
            f"cannot read {path}: {error.strerror or error}",
            hint="a folder of a language model holds config.json, its weights and its tokenizer.json",
        ) from error
    if len(data) > MAX_CONFIG_BYTES:
        raise ModelError(f"{path} is longer than {MAX_CONFIG_BYTES} bytes", hint="it is no configuration of a model")
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {error}", hint="download the folder again") from None
    if not isinstance(config, dict):
        raise ModelError(f"{path} holds a {type(config).__name__}, not an object", hint="download the folder again")
    return config
