"""What an encoder's folder says beside its weights."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.domain.model import Model


@dataclass(frozen=True)
class Facts:
    """What the process that read the folder tells; see `EncoderImport`.

    Args:
        sha256: of the files read.
        tokenizer_sha256: of tokenizer.json.
        notes: what was done, in plain words.
    """

    sha256: str
    tokenizer_sha256: str
    kind: str
    max_tokens: int
    padding: int
    normalized: bool
    labels: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class EncoderImport:
    """An encoder that takes a text.

    Args:
        model: ONNX with int64 inputs `input_ids` and `attention_mask`, (n, tokens), both free; pooling, length and head
            are inside, and its one output is `embedding` (n, dimensions) or `logits` (n, classes).
        tokenizer: the bytes of tokenizer.json, as they are: it may hold truncation and padding of its own.
        kind: `classification` or `embedding`, as in `TextInput`.
        max_tokens: a longer text is to be cut, special tokens included.
        padding: token id that fills up.
        normalized: whether the rows of an embedding have length one.
        labels: names of the classes in their order; empty for an embedding.
    """

    model: Model
    tokenizer: bytes
    kind: str
    max_tokens: int
    padding: int
    normalized: bool
    labels: tuple[str, ...]
