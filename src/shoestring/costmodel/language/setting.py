"""How llama.cpp is asked to run a model: what its memory depends on beside the file."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.base.errors import UsageError

CACHE_TYPES = ("F16", "Q8_0")
"""Types of keys and values that we plan: the default, and the one that halves it."""

MAX_CONTEXT = 1 << 24
"""Tokens; no published model was trained for more."""

MICROBATCH = 512
"""n_ubatch of llama.cpp as delivered: tokens of a prompt that go through the network together."""

CELLS = 256
"""llama.cpp rounds the cells of a cache up to a multiple of this (src/llama-kv-cache.cpp)."""


@dataclass(frozen=True)
class Setting:
    """One sequence at a time.

    Args:
        context: tokens that the cache holds.
        cache: block type of keys and values, one of CACHE_TYPES.
        microbatch: tokens that are read together, at most the context.
    """

    context: int
    cache: str = "F16"
    microbatch: int = MICROBATCH

    def __post_init__(self) -> None:
        if not 1 <= self.context <= MAX_CONTEXT:
            raise UsageError(
                f"a context of {self.context:,} tokens is outside 1..{MAX_CONTEXT:,}", hint="2048 is usual on boards"
            )
        if self.cache not in CACHE_TYPES:
            raise UsageError(
                f"keys and values in {self.cache!r} are not planned", hint=f"take one of {', '.join(CACHE_TYPES)}"
            )
        if self.microbatch < 1:
            raise UsageError(f"a microbatch of {self.microbatch} tokens is below 1", hint=f"{MICROBATCH} is usual")

    @property
    def together(self) -> int:
        """Tokens that really go through the network together."""
        return min(self.microbatch, self.context)


__all__ = ["CACHE_TYPES", "CELLS", "MAX_CONTEXT", "MICROBATCH", "Setting"]
