"""An encoder as the user has it: an ONNX file with a tokenizer beside it, or a folder of Hugging Face."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shoestring.base import disk
from shoestring.base.cache import Cache
from shoestring.base.errors import ModelError, UsageError
from shoestring.base.limits import MAX_TEXT_TOKENS, MAX_TOKENIZER_BYTES, MIB
from shoestring.domain.model import Model, TensorSpec
from shoestring.inputs.text import load_tokenizer

TOKENIZER, SENTENCES = "tokenizer.json", "sentence_bert_config.json"
DEFAULT_TOKENS = 512
"""Where neither the user nor the files say how long a text may be: what BERT and most of its kin were trained with."""
MAX_CONFIG_BYTES = MIB
PADDING_NAMES = ("[PAD]", "<pad>", "<|endoftext|>")
IDS = ("int32", "int64")

Import = Callable[[Path], Model]


@dataclass(frozen=True)
class Encoder:
    """A model with what turns a text into its inputs.

    Args:
        model: normalised; one output (texts, values).
        tokenizer: the `tokenizer.json`.
        max_tokens: longer texts are cut.
        padding: token id that fills up.
        ids: input of token ids.
        mask: input of the mask, or None.
        types: input of token types, or None.
        labels: class names that the model itself has; () where it has none.
    """

    model: Model
    tokenizer: bytes
    max_tokens: int
    padding: int
    ids: TensorSpec
    mask: TensorSpec | None
    types: TensorSpec | None
    labels: tuple[str, ...] = ()


def open_encoder(
    path: Path, cache: Cache, import_file: Import, tokenizer: Path | None = None, max_tokens: int | None = None
) -> Encoder:
    """The encoder at `path`.

    Args:
        path: an ONNX file, or a folder with config.json.
        cache: where an imported folder is kept.
        import_file: normalises an ONNX file in quarantine.
        tokenizer: file; None takes the `tokenizer.json` beside the model.
        max_tokens: longer texts are cut; None takes what `sentence_bert_config.json`, the folder or the tokenizer says.

    Raises:
        UsageError: no tokenizer, or an odd count of tokens.
        ModelError: it is no encoder of text.
        DataError: the tokenizer cannot be read.
    """
    if max_tokens is not None and not 2 <= max_tokens <= MAX_TEXT_TOKENS:
        raise UsageError(f"{max_tokens} tokens are outside 2 to {MAX_TEXT_TOKENS}", hint="512 is usual")
    if path.is_dir():
        return _from_folder(path, cache, tokenizer, max_tokens)
    beside = tokenizer or path.with_name(TOKENIZER)
    data = _read(beside, MAX_TOKENIZER_BYTES)
    if data is None:
        raise UsageError(f"{beside} is not there", hint="an encoder needs its tokenizer.json: give it with --tokenizer")
    known = load_tokenizer(data)
    return _encoder(import_file(path), data, max_tokens or _length(path.parent, known), _padding(known))


def _from_folder(path: Path, cache: Cache, tokenizer: Path | None, max_tokens: int | None) -> Encoder:
    from shoestring.importers.huggingface.encoders import import_encoder

    with disk.storage_errors(Path(tempfile.gettempdir())):
        directory = tempfile.TemporaryDirectory()
    with directory as scratch:
        found = import_encoder(path, Path(scratch) / "model.onnx")
        made = found.model.path.read_bytes()
        kept = cache.file(
            "models", {"sha256": found.model.sha256}, ".onnx", lambda target: disk.write_bytes(target, made)
        )
    data = found.tokenizer
    if tokenizer is not None:
        data = _read(tokenizer, MAX_TOKENIZER_BYTES) or b""
    return _encoder(
        replace(found.model, path=kept), data, max_tokens or found.max_tokens, found.padding, tuple(found.labels)
    )


def _encoder(model: Model, tokenizer: bytes, max_tokens: int, padding: int, labels: tuple[str, ...] = ()) -> Encoder:
    ids, mask, types = _inputs(model)
    output = model.outputs[0]
    if len(model.outputs) != 1 or len(output.shape) != 2 or output.shape[1] is None:
        shapes = ", ".join(f"{spec.name} {spec.shape}" for spec in model.outputs)
        raise ModelError(
            f"{model.source_name} answers {shapes}, expected one output (texts, values)",
            hint="export the encoder with its pooling, or give its Hugging Face folder",
        )
    fixed = [spec.shape[1] for spec in model.inputs if spec.shape[1] is not None]
    if fixed and min(fixed) != max_tokens:
        raise ModelError(
            f"{model.source_name} takes {fixed[0]} tokens and no other number, and texts have up to {max_tokens}",
            hint=f"export with a free number of tokens, or say --max-tokens {fixed[0]}",
        )
    return Encoder(model, tokenizer, max_tokens, padding, ids, mask, types, labels)


def _inputs(model: Model) -> tuple[TensorSpec, TensorSpec | None, TensorSpec | None]:
    """Ids, mask and types, told apart by their names."""
    mask = types = None
    rest = []
    for spec in model.inputs:
        if spec.dtype not in IDS or len(spec.shape) != 2:
            raise ModelError(
                f"input {spec.name!r} of {model.source_name} is {spec.dtype} {spec.shape}, no token ids (texts, tokens)",
                hint="an encoder takes whole numbers; export it with its pooling inside",
            )
        if "mask" in spec.name.lower():
            mask = spec
        elif "type" in spec.name.lower() or "segment" in spec.name.lower():
            types = spec
        else:
            rest.append(spec)
    if len(rest) != 1:
        names = ", ".join(spec.name for spec in model.inputs)
        raise ModelError(
            f"which of the inputs {names} of {model.source_name} takes the token ids cannot be told",
            hint="usual names are input_ids, attention_mask and token_type_ids",
        )
    return rest[0], mask, types


def _length(folder: Path, tokenizer: Any) -> int:
    data = _read(folder / SENTENCES, MAX_CONFIG_BYTES)
    if data is not None:
        try:
            said = json.loads(data)["max_seq_length"]
        except (ValueError, KeyError, TypeError, RecursionError):
            said = None
        if isinstance(said, int) and 2 <= said <= MAX_TEXT_TOKENS:
            return said
    cut = tokenizer.truncation
    return int(cut["max_length"]) if cut is not None else DEFAULT_TOKENS


def _padding(tokenizer: Any) -> int:
    if tokenizer.padding is not None:
        return int(tokenizer.padding["pad_id"])
    known = (tokenizer.token_to_id(name) for name in PADDING_NAMES)
    return next((int(one) for one in known if one is not None), 0)


def _read(path: Path, most: int) -> bytes | None:
    """The file's bytes, one more than `most` at the end; None where there is none."""
    try:
        with path.open("rb") as stream:
            return stream.read(most + 1)
    except OSError:
        return None
