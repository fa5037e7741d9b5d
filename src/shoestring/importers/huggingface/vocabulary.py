"""The words of a tokenizer.json, whatever its model, and how they fit a network's embedding."""

from __future__ import annotations

from typing import Any

from shoestring.base.errors import ModelError
from shoestring.importers.huggingface.folder import TOKENIZER
from shoestring.importers.safetensors.strict_json import DAMAGED

MAX_WORD_CHARACTERS = 65_536  # of one word; published ones have runs of some hundred blanks


def words_of(tokenizer: dict[str, Any]) -> dict[str, int]:
    """Id by word: the model's vocabulary and the tokens added to it.

    Args:
        tokenizer: parsed tokenizer.json of the library `tokenizers`.

    Raises:
        ModelError: no such file's structure.
    """
    model = tokenizer.get("model")
    found = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(found, list):  # a Unigram model's pairs of word and score
        if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in found):
            raise ModelError(f"{TOKENIZER} has a vocabulary that is no list of words and scores", hint=DAMAGED)
        found = {pair[0]: index for index, pair in enumerate(found)}
    if not isinstance(found, dict) or not found:
        raise ModelError(f"{TOKENIZER} holds no vocabulary", hint="is it a file of the library `tokenizers`?")
    words = dict(found)
    for token in added_tokens(tokenizer):
        words[token["content"]] = token["id"]
    for word, index in words.items():
        if type(index) is not int or index < 0 or len(word) > MAX_WORD_CHARACTERS:
            raise ModelError(f"{TOKENIZER} gives the word {word[:80]!r} the id {index!r:.80}", hint=DAMAGED)
    return words


def added_tokens(tokenizer: dict[str, Any]) -> list[dict[str, Any]]:
    """Tokens beside the model's vocabulary; each has `content` and `id`. Raises ModelError."""
    found = tokenizer.get("added_tokens", [])
    sound = isinstance(found, list) and all(
        isinstance(token, dict) and isinstance(token.get("content"), str) and type(token.get("id")) is int
        for token in found
    )
    if not sound:
        raise ModelError(f"{TOKENIZER} has added tokens without content or id", hint=DAMAGED)
    return list(found)


def check_fits(words: dict[str, int], rows: int) -> None:
    """Raises ModelError when an id has no row in the embedding."""
    word, largest = max(words.items(), key=lambda item: item[1])
    if largest >= rows:
        raise ModelError(
            f"{TOKENIZER} gives {word[:80]!r} the id {largest:,}, and the embedding has {rows:,} rows",
            hint="tokenizer and weights do not belong together",
        )


def token_text(found: Any) -> str | None:
    """The text of a special token as tokenizer_config.json writes it: a text, or an object with `content`."""
    if isinstance(found, dict):
        found = found.get("content")
    return found if isinstance(found, str) else None
