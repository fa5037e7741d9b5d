"""A tokenizer.json as GGUF's metadata: words, their kinds, merges or scores, special ids.

Two models are written: byte-pair encoding over GPT-2's bytes (`gpt2`; Radford et al., 2019), and the one of
sentencepiece with bytes as a last resort (`llama`; Kudo and Richardson, 2018, arXiv 1808.06226).
"""

from __future__ import annotations

from typing import Any

from shoestring.base.errors import ModelError
from shoestring.importers.gguf import writing
from shoestring.importers.huggingface.folder import TOKENIZER
from shoestring.importers.huggingface.pre_tokenizer import NFC, flat, normalizers_of, recognise
from shoestring.importers.huggingface.vocabulary import added_tokens, check_fits, words_of
from shoestring.importers.safetensors.strict_json import DAMAGED

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6  # enum llama_token_type in llama.h
SPACE = "▁"
_BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
_NOTHING = (None, "", False, 0)
_NFC_NOTE = "texts are to be given in Unicode's form NFC: the tokenizer brings them there, llama.cpp does not"


def vocabulary_pairs(tokenizer: dict[str, Any], rows: int) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """GGUF's pairs for the words and how texts become them.

    Args:
        tokenizer: parsed tokenizer.json.
        rows: of the embedding; ids without a word become unused ones.

    Returns:
        Pairs by key, and what is to be said.

    Raises:
        ModelError: a model, step or setting that llama.cpp does not have, by name; or words that do not fit.
    """
    model = tokenizer.get("model")
    if not isinstance(model, dict) or model.get("type") not in ("BPE", None):
        kind = model.get("type") if isinstance(model, dict) else None
        raise ModelError(f"{TOKENIZER} has a model of the type {kind!r:.40}", hint="known is BPE")
    for key in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
        if model.get(key) not in _NOTHING:
            raise ModelError(f"{TOKENIZER} states {key} = {model[key]!r:.80}, which llama.cpp does not have")
    words = words_of(tokenizer)
    check_fits(words, rows)
    merges = merges_of(model, words)
    tokens, kinds = _listed(tokenizer, words, rows, model)
    pairs, notes = (_spm if model.get("byte_fallback") else _bytes)(tokenizer, tokens, kinds, merges)
    pairs["tokenizer.ggml.tokens"] = writing.texts(tokens)
    pairs["tokenizer.ggml.token_type"] = writing.numbers("INT32", kinds)
    spare = kinds.count(UNUSED)
    if spare:
        notes = (*notes, f"{spare:,} rows of the embedding have no word, and are named as unused")
    trimmed = [token["content"] for token in added_tokens(tokenizer) if token.get("lstrip") or token.get("rstrip")]
    if trimmed:
        notes = (*notes, f"blanks beside {', '.join(map(repr, trimmed[:4]))} are kept: llama.cpp strips none")
    return pairs, notes


def merges_of(model: dict[str, Any], words: dict[str, int]) -> list[tuple[str, str]]:
    """Pairs that are joined, in their order. Raises ModelError for one of unknown form or words."""
    found = model.get("merges")
    if not isinstance(found, list):
        raise ModelError(f"{TOKENIZER} holds no merges", hint=DAMAGED)
    merges = [tuple(entry.split(" ")) if isinstance(entry, str) else tuple(entry) for entry in found if _merge(entry)]
    if len(merges) != len(found):
        raise ModelError(f"{TOKENIZER} holds merges that are no pairs of texts", hint=DAMAGED)
    for left, right in merges:
        if left + right not in words or left not in words or right not in words:
            raise ModelError(f"{TOKENIZER} merges {left!r:.80} and {right!r:.80}, and not all are words", hint=DAMAGED)
    return [(left, right) for left, right in merges]


def _merge(entry: Any) -> bool:
    if isinstance(entry, str):
        return entry.count(" ") == 1
    return isinstance(entry, list) and len(entry) == 2 and all(isinstance(part, str) for part in entry)


def _listed(
    tokenizer: dict[str, Any], words: dict[str, int], rows: int, model: dict[str, Any]
) -> tuple[list[str], list[int]]:
    """Words by id, and the kind of each."""
    tokens = [f"[PAD{index}]" for index in range(rows)]
    kinds = [UNUSED] * rows
    for word, index in words.items():
        if kinds[index] != UNUSED:
            raise ModelError(f"{TOKENIZER} gives {word[:80]!r} and {tokens[index][:80]!r} the same id {index:,}")
        tokens[index], kinds[index] = _sound(word), NORMAL
    spm = bool(model.get("byte_fallback"))
    for word in _BYTES if spm else ():
        if word not in words:
            raise ModelError(f"{TOKENIZER} falls back to bytes, and has no word {word}", hint=DAMAGED)
        kinds[words[word]] = BYTE
    for token in added_tokens(tokenizer):
        kinds[token["id"]] = CONTROL if token.get("special") is True else USER_DEFINED
    unknown = model.get("unk_token")
    if spm and isinstance(unknown, str) and unknown in words:
        kinds[words[unknown]] = UNKNOWN
    return tokens, kinds


def _sound(word: str) -> str:
    try:
        word.encode()
    except UnicodeEncodeError as error:
        raise ModelError(f"{TOKENIZER} holds the word {word[:80]!r}, which is no text", hint=DAMAGED) from error
    return word


def _bytes(
    tokenizer: dict[str, Any], tokens: list[str], kinds: list[int], merges: list[tuple[str, str]]
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    way = recognise(tokenizer)
    if any(" " in part for pair in merges for part in pair):
        raise ModelError(f"{TOKENIZER} merges words with blanks in them, which GGUF cannot write", hint=DAMAGED)
    pairs = {
        "tokenizer.ggml.model": writing.text("gpt2"),
        "tokenizer.ggml.pre": writing.text(way.name),
        "tokenizer.ggml.add_space_prefix": writing.scalar("BOOL", False),
        "tokenizer.ggml.merges": writing.texts([" ".join(pair) for pair in merges]),
    }
    return pairs, (_NFC_NOTE,) if NFC in normalizers_of(tokenizer) else ()


def _spm(
    tokenizer: dict[str, Any], tokens: list[str], kinds: list[int], merges: list[tuple[str, str]]
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    pairs = {
        "tokenizer.ggml.model": writing.text("llama"),
        "tokenizer.ggml.pre": writing.text("default"),
        "tokenizer.ggml.add_space_prefix": writing.scalar("BOOL", blank_before(tokenizer)),
        "tokenizer.ggml.scores": writing.numbers("FLOAT32", scores_of(tokens, kinds, merges)),
    }
    return pairs, ("scores of words are the order of their merges",)


def scores_of(tokens: list[str], kinds: list[int], merges: list[tuple[str, str]]) -> list[float]:
    """llama.cpp joins the pair whose word scores highest, Hugging Face the one that was merged first.

    They do the same where all merges to one word stand together, as they do in lists made from sentencepiece's scores.

    Raises:
        ModelError: merges to one word stand apart.
    """
    order: dict[str, int] = {}
    before = None
    for left, right in merges:
        word = left + right
        if word != before and word in order:
            raise ModelError(
                f"{TOKENIZER} merges to {word[:80]!r} at several places, which llama.cpp's scores cannot say",
                hint="it was not made from a model of sentencepiece; nothing of it is guessed",
            )
        order.setdefault(word, len(order))
        before = word
    scores = []
    for index, (token, kind) in enumerate(zip(tokens, kinds, strict=True)):
        scores.append(0.0 if kind != NORMAL else -float(order.get(token, len(order) + index)))
    return scores


def blank_before(tokenizer: dict[str, Any]) -> bool:
    """Whether a text gets a blank before it. Raises ModelError for steps that llama.cpp's model does not have."""
    before, blanks = False, False
    for entry in flat(tokenizer.get("normalizer"), "normalizers"):
        if entry["type"] == "Prepend" and entry.get("prepend") == SPACE:
            before = True
        elif entry["type"] == "Replace" and entry.get("pattern") == {"String": " "} and entry.get("content") == SPACE:
            blanks = True
        else:
            raise _not_spm(entry)
    for entry in flat(tokenizer.get("pre_tokenizer"), "pretokenizers"):
        if entry["type"] == "Metaspace" and entry.get("replacement") == SPACE and entry.get("split") is False:
            before, blanks = before or entry.get("prepend_scheme", "always") != "never", True
        elif not (blanks and entry["type"] == "Split" and entry.get("pattern") == {"String": " "}):
            # Once blanks are replaced, a split at blanks finds none.
            raise _not_spm(entry)
    if not blanks:
        raise ModelError(
            f"{TOKENIZER} falls back to bytes and does not write blanks as {SPACE!r}", hint="nothing is guessed"
        )
    return before


def _not_spm(entry: dict[str, Any]) -> ModelError:
    return ModelError(
        f"{TOKENIZER} has the step {entry!r:.200}, which llama.cpp's model of sentencepiece does not have",
        hint=f"known are a blank put before, and blanks written as {SPACE!r}",
    )
