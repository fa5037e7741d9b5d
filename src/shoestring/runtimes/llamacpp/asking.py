"""What can be asked of a model that writes, and what comes back: the nouns of every writer, real or null."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

STOP, LENGTH, DEADLINE = "stop", "length", "deadline"
"""Why an answer ends: the model or a stop word ended it; it has as many tokens as were asked for or fit; time is up."""
MAX_STOP_WORDS = 16
MAX_LIKELIEST = 20
"""As the OpenAI API has it for `top_logprobs`."""


@dataclass(frozen=True)
class Options:
    """How an answer is written.

    Args:
        max_tokens: of the answer; None: until the model ends it or the context is full.
        temperature: 0 takes the likeliest token each time; at most 2.
        top_p: only the likeliest tokens that hold this much probability together are drawn from, above 0 to 1.
        top_k: only so many of the likeliest; 0 for all.
        min_p: only those at least so likely as this fraction of the likeliest, 0 to 1.
        seed: for the drawing; None draws anew each time.
        stop: words that end the answer; they are not part of it.
        json: whether the answer is one JSON object.
        schema: JSON schema that the answer obeys; implies `json`.
        grammar: in llama.cpp's GBNF, that the answer obeys; not together with the two before.
        logprobs: whether pieces tell the log-probability of their token.
        likeliest: how many of the likeliest tokens they tell beside it, 0 to MAX_LIKELIEST.
        deadline_s: after which the answer ends as it is, `finish` says so; None for no deadline.
        progress: whether pieces without text tell how much of a prompt was read.
        cache: whether what an earlier prompt began with in the same words is not read again.
    """

    max_tokens: int | None = None
    temperature: float = 0.8
    top_p: float = 0.95
    top_k: int = 40
    min_p: float = 0.05
    seed: int | None = None
    stop: tuple[str, ...] = ()
    json: bool = False
    schema: Mapping[str, Any] | None = None
    grammar: str | None = None
    logprobs: bool = False
    likeliest: int = 0
    deadline_s: float | None = None
    progress: bool = False
    cache: bool = True

    def check(self) -> None:
        """Raise UsageError for what no model can obey."""
        ranges = (
            ("max_tokens", self.max_tokens, 1, 1 << 24),
            ("temperature", self.temperature, 0, 2),
            ("top_p", self.top_p, 0, 1),
            ("top_k", self.top_k, 0, 1 << 24),
            ("min_p", self.min_p, 0, 1),
            ("seed", self.seed, 0, (1 << 32) - 2),  # the last one of 32 bits means "none" to llama.cpp
            ("likeliest", self.likeliest, 0, MAX_LIKELIEST),
            ("deadline_s", self.deadline_s, 0, math.inf),
        )
        for name, value, low, high in ranges:
            if value is not None and not low <= value <= high:
                raise UsageError(f"{name} is {value}, and must be {low} to {high}")
        if len(self.stop) > MAX_STOP_WORDS or not all(self.stop):
            raise UsageError(
                f"there are {len(self.stop)} stop words, and 0 to {MAX_STOP_WORDS} that are not empty are possible"
            )
        if self.grammar is not None and (self.json or self.schema is not None):
            raise UsageError("a grammar and JSON were both asked for", hint="give one of them")


GREEDY = Options(temperature=0.0)


@dataclass(frozen=True)
class Usage:
    """What an answer took.

    Args:
        prompt_tokens: of the prompt, with what the chat template adds.
        cached_tokens: of them, that were not read again.
        written_tokens: of the answer.
        read_s: time for the rest of the prompt, seconds; None when it ended early.
        written_s: time for the answer after its first token; None likewise.
        drafted_tokens: that speculation proposed; 0 without it.
        accepted_tokens: of them, that the model would have written.
    """

    prompt_tokens: int
    cached_tokens: int
    written_tokens: int
    read_s: float | None = None
    written_s: float | None = None
    drafted_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True)
class Piece:
    """A part of an answer: usually one token.

    Args:
        text: may be empty.
        token_logprob: of the token, natural logarithm, before temperature and the like; None when not asked for.
        likeliest: (token, log-probability), as many as asked for.
        finish: in the last piece, why the answer ends: `stop`, `length`, `deadline`; None before.
        usage: in the last piece.
        progress: (tokens read, tokens of the prompt), in pieces without text that come before any.
    """

    text: str
    token_logprob: float | None = None
    likeliest: tuple[tuple[str, float], ...] = ()
    finish: str | None = None
    usage: Usage | None = None
    progress: tuple[int, int] | None = None


__all__ = ["DEADLINE", "GREEDY", "LENGTH", "MAX_LIKELIEST", "MAX_STOP_WORDS", "STOP", "Options", "Piece", "Usage"]
