"""How a tokenizer.json cuts texts, and which of llama.cpp's ways does the same: found by its steps, never guessed."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from shoestring.base.errors import ModelError
from shoestring.importers.huggingface.folder import TOKENIZER

NFC = "NFC"
_SHOWN = 200


@dataclass(frozen=True)
class PreTokenizer:
    """One of llama.cpp's ways; pre_tokenizers.toml says what each field is."""

    name: str
    steps: tuple[str, ...]
    ignore_merges: bool
    normalizers: tuple[str, ...]


@functools.cache
def known() -> tuple[PreTokenizer, ...]:
    """All that can be recognised."""
    text = resources.files("shoestring.importers.huggingface").joinpath("pre_tokenizers.toml").read_text()
    return tuple(
        PreTokenizer(item["name"], tuple(item["steps"]), item["ignore_merges"], tuple(item["normalizers"]))
        for item in tomllib.loads(text)["pre"]
    )


def recognise(tokenizer: dict[str, Any]) -> PreTokenizer:
    """The way that a tokenizer.json states.

    Raises:
        ModelError: none that is known, with the steps.
    """
    steps = tuple(step_of(entry) for entry in flat(tokenizer.get("pre_tokenizer"), "pretokenizers"))
    ignores = bool(tokenizer["model"].get("ignore_merges", False))
    normalizer = ", ".join(normalizers_of(tokenizer))
    for way in known():
        if way.steps == steps and way.ignore_merges == ignores and normalizer in way.normalizers:
            return way
    stated = f"steps {list(steps)!r:.{_SHOWN}}, ignore_merges {ignores}, normalizer {normalizer or 'none'}"
    raise ModelError(
        f"{TOKENIZER} cuts texts in a way that is not known to be one of llama.cpp's: {stated}",
        hint=f"known are those of {', '.join(way.name for way in known())}",
    )


def flat(entry: Any, inner: str) -> list[dict[str, Any]]:
    """The steps of an entry of tokenizer.json; a Sequence is unpacked. Raises ModelError for another structure."""
    if entry is None:
        return []
    if isinstance(entry, dict) and entry.get("type") == "Sequence" and isinstance(entry.get(inner), list):
        return [step for part in entry[inner] for step in flat(part, inner)]
    if not (isinstance(entry, dict) and isinstance(entry.get("type"), str)):
        raise ModelError(f"{TOKENIZER} has a step {entry!r:.80}, which has no type", hint="is the file damaged?")
    return [entry]


def normalizers_of(tokenizer: dict[str, Any]) -> list[str]:
    """Types of the normalizers, in their order."""
    return [str(entry["type"]) for entry in flat(tokenizer.get("normalizer"), "normalizers")]


def step_of(entry: dict[str, Any]) -> str:
    """A step in the words of pre_tokenizers.toml; one that is not known keeps its own."""
    kind = entry["type"]
    if kind == "ByteLevel" and not entry.get("add_prefix_space", True):
        return "bytes-words" if entry.get("use_regex", True) else "bytes"
    if kind == "Digits" and entry.get("individual_digits") is True:
        return "digits"
    pattern = entry.get("pattern")
    whole = entry.get("behavior") == "Isolated" and entry.get("invert") is False
    if kind == "Split" and whole and isinstance(pattern, dict) and isinstance(pattern.get("Regex"), str):
        return f"split:{pattern['Regex']}"
    settings = ", ".join(f"{key}={value!r:.60}" for key, value in entry.items() if key not in ("type", "trim_offsets"))
    return f"{kind}({settings})"
