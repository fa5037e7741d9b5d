"""Which ids begin, end and fill texts, and the chat template: from what stands beside a tokenizer.json."""

from __future__ import annotations

from typing import Any

from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_METADATA_TEXT_BYTES
from shoestring.importers.gguf import writing
from shoestring.importers.huggingface.fields import Fields
from shoestring.importers.huggingface.folder import TOKENIZER, TOKENIZER_CONFIG, Folder
from shoestring.importers.huggingface.vocabulary import token_text
from shoestring.importers.safetensors.strict_json import DAMAGED

GENERATION, TEMPLATE = "generation_config.json", "chat_template.jinja"
_WORDS = {"bos": "bos_token_id", "eos": "eos_token_id", "unk": "unknown_token_id", "pad": "padding_token_id"}
_MAX_ENDS = 64


def special_pairs(
    folder: Folder, config: Fields, tokenizer: dict[str, Any], words: dict[str, int], rows: int
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """GGUF's pairs for special ids, for what is put around a text, and for the chat template.

    Raises:
        ModelError: an id that the network or a word that the tokenizer does not have, or an endless template.
    """
    settings = Fields(folder.optional(TOKENIZER_CONFIG), TOKENIZER_CONFIG)
    generation = Fields(folder.optional(GENERATION), GENERATION)
    ids = {name: _id_of(name, settings, config, words, rows) for name in _WORDS}
    pairs = {
        f"tokenizer.ggml.{_WORDS[name]}": writing.scalar("UINT32", number)
        for name, number in ids.items()
        if number is not None
    }
    around, notes = around_of(tokenizer, settings, ids, words)
    for name, given in zip(("bos", "eos"), around, strict=True):
        pairs[f"tokenizer.ggml.add_{name}_token"] = writing.scalar("BOOL", given)
    others = [number for number in _ends(generation, rows) if number != ids["eos"]]
    if others and ids["eos"] is not None:
        pairs["tokenizer.ggml.eot_token_id"] = writing.scalar("UINT32", others[0])
    template = _template(folder, settings)
    if template is not None:
        pairs["tokenizer.chat_template"] = writing.text(template)
    return pairs, notes


def _id_of(name: str, settings: Fields, config: Fields, words: dict[str, int], rows: int) -> int | None:
    """By the tokenizer's word for it, else by the network's config; None where neither says."""
    word = token_text(settings.get(f"{name}_token"))
    if word is not None:
        if word not in words:
            raise ModelError(
                f"{TOKENIZER_CONFIG} names {word[:80]!r} as its {name}_token, and {TOKENIZER} has no such word"
            )
        return words[word]
    stated = config.get(f"{name}_token_id")
    if isinstance(stated, list) and stated:
        stated = stated[0]
    return Fields({"id": stated}, config.where).integer("id", 0, rows - 1) if stated is not None else None


def around_of(
    tokenizer: dict[str, Any], settings: Fields, ids: dict[str, int | None], words: dict[str, int]
) -> tuple[tuple[bool, bool], tuple[str, ...]]:
    """Whether a text gets the first and the last special token, and what is to be said.

    The tokenizer's own step after the model says so; classes of transformers may overrule it by a flag.
    """
    begins, ends = _after(tokenizer.get("post_processor"), ids, words)
    notes = []
    flags = []
    for name, found in (("bos", begins), ("eos", ends)):
        flag = settings.get(f"add_{name}_token")
        if isinstance(flag, bool) and flag != found:
            notes.append(
                f"{TOKENIZER_CONFIG} states add_{name}_token = {flag}, {TOKENIZER} does otherwise: the flag holds"
            )
        flags.append(flag if isinstance(flag, bool) else found)
    if flags[0] and ids["bos"] is None:
        raise ModelError(f"{TOKENIZER_CONFIG} asks for a first token, and names none")
    return (flags[0], flags[1]), tuple(notes)


def _after(entry: Any, ids: dict[str, int | None], words: dict[str, int]) -> tuple[bool, bool]:
    if entry is None:
        return False, False
    kind = entry.get("type") if isinstance(entry, dict) else None
    if kind == "ByteLevel":
        return False, False
    if kind == "Sequence" and isinstance(entry.get("processors"), list):
        found = [_after(one, ids, words) for one in entry["processors"]]
        return any(one[0] for one in found), any(one[1] for one in found)
    if kind == "TemplateProcessing" and isinstance(entry.get("single"), list):
        return _template_ends(entry["single"], ids, words)
    raise ModelError(f"{TOKENIZER} ends with a step {kind!r:.40}", hint="known are ByteLevel and TemplateProcessing")


def _template_ends(single: list[Any], ids: dict[str, int | None], words: dict[str, int]) -> tuple[bool, bool]:
    """Of a template such as <s> A </s>."""
    parts = []
    for part in single:
        special = part.get("SpecialToken") if isinstance(part, dict) else None
        parts.append(words.get(str(special.get("id"))) if isinstance(special, dict) else "text")
    for known in (["text"], [ids["bos"], "text"], ["text", ids["eos"]], [ids["bos"], "text", ids["eos"]]):
        if parts == known and None not in known:
            return known[0] != "text", known[-1] != "text"
    raise ModelError(
        f"{TOKENIZER} puts {single!r:.200} around a text", hint="known are the first and the last special token"
    )


def _ends(generation: Fields, rows: int) -> list[int]:
    stated = generation.get("eos_token_id")
    found = stated if isinstance(stated, list) else [] if stated is None else [stated]
    if len(found) > _MAX_ENDS or not all(type(number) is int and 0 <= number < rows for number in found):
        raise generation.wrong("eos_token_id", f"expected ids below {rows:,}")
    return found


def _template(folder: Folder, settings: Fields) -> str | None:
    found = settings.get("chat_template")
    if isinstance(found, list):
        named = [one for one in found if isinstance(one, dict) and one.get("name") == "default"]
        found = named[0].get("template") if named else None
    if found is None and folder.has(TEMPLATE):
        try:
            found = folder.read(TEMPLATE, MAX_METADATA_TEXT_BYTES).decode()
        except UnicodeDecodeError as error:
            raise ModelError(f"{TEMPLATE} is no text in UTF-8") from error
    if found is None:
        return None
    if not isinstance(found, str) or _size(found) > MAX_METADATA_TEXT_BYTES:
        raise ModelError(f"the chat template is no text of at most {MAX_METADATA_TEXT_BYTES:,} bytes")
    return found


def _size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:  # JSON can write half of a surrogate pair
        raise ModelError("the chat template is no text in Unicode", hint=DAMAGED) from error
