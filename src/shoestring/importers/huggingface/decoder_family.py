"""Families of decoders, from families.toml."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class DecoderFamily:
    """How one family becomes a GGUF architecture; families.toml says what each field is."""

    architecture: str
    kind: str
    interleaved: bool
    norm_offset: float
    activation: str
    rope_theta: float
    tied: bool
    head_width: int | None
    biases: frozenset[str]
    flagged_biases: dict[str, tuple[str, ...]]
    norms: tuple[tuple[str, str, str], ...]


@functools.cache
def families() -> dict[str, DecoderFamily]:
    """All families by the `model_type` of their config.json."""
    text = resources.files("shoestring.importers.huggingface").joinpath("families.toml").read_text()
    return {name: _family(entry) for name, entry in tomllib.loads(text).items()}


def _family(entry: dict[str, Any]) -> DecoderFamily:
    return DecoderFamily(
        architecture=entry["architecture"],
        kind=entry["class"],
        interleaved=entry["interleaved"],
        norm_offset=entry["norm_offset"],
        activation=entry["activation"],
        rope_theta=entry["rope_theta"],
        tied=entry["tied"],
        head_width=entry.get("head_width"),
        biases=frozenset(entry.get("biases", ())),
        flagged_biases={flag: tuple(names) for flag, names in entry.get("flagged_biases", {}).items()},
        norms=tuple((there, here, wide) for there, here, wide in entry["norms"]),
    )
