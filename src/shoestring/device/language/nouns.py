"""What a writer is asked and what it answers, whatever engine stands behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

STOP, LENGTH = "stop", "length"
"""Why an answer ended: the model or a stop word ended it; it reached `max_tokens` or the end of the context."""


@dataclass(frozen=True)
class Likely:
    """A token and how likely it was.

    Args:
        text: of it; a part of a character shows as the replacement character.
        logprob: natural logarithm of its probability, at most 0.
        octets: its bytes.
    """

    text: str
    logprob: float
    octets: bytes


@dataclass(frozen=True)
class Written:
    """One token of an answer.

    Args:
        token: that was chosen.
        others: the likeliest, best first; as many as were asked for.
    """

    token: Likely
    others: tuple[Likely, ...] = ()


@dataclass(frozen=True)
class Usage:
    """Tokens.

    Args:
        read: of the prompt.
        written: of the answer.
        cached: of the prompt, those that the engine still knew.
    """

    read: int
    written: int
    cached: int = 0


@dataclass(frozen=True)
class Piece:
    """What came since the last piece. The last one of an answer has `finish` and `usage`.

    Args:
        text: may be empty.
        tokens: with their log-probabilities, where they were asked for.
        count: tokens that it stands for.
        finish: `STOP` or `LENGTH` in the last one.
        usage: in the last one.
    """

    text: str = ""
    tokens: tuple[Written, ...] = ()
    count: int = 1
    finish: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True)
class Options:
    """How to write.

    Args:
        max_tokens: of the answer; None: until the model ends it or the context is full.
        temperature: 0 takes the likeliest token.
        top_p: share of the probability that is drawn from, in (0, 1].
        seed: of the draw; None: any.
        stop: words that end the answer and are not part of it.
        logprobs: how many of the likeliest tokens to tell beside each; None: no log-probabilities.
        json: whether the answer must be a JSON object.
        schema: JSON schema that the answer must keep; None: none.
    """

    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    json: bool = False
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Prompt:
    """What is to be answered: a conversation or a text to go on with, never both.

    Args:
        messages: (role, content) with roles `system`, `user`, `assistant`; the chat template is the model's own.
        text: to go on with.
    """

    messages: tuple[tuple[str, str], ...] = ()
    text: str | None = None


class Answer(Protocol):
    """An answer under way. One thread iterates; any thread may cancel."""

    def __iter__(self) -> Iterator[Piece]:
        """Pieces as they come.

        Raises:
            PromptTooLongError: before the first piece.
            DataError: the engine refuses the request: a schema that it cannot keep, a model without a chat template.
            EngineFaultError: the engine died; the next answer finds a new one.
        """
        ...

    def cancel(self) -> None:
        """Nobody wants the rest: the iteration ends soon, without a last piece. A second call does nothing."""
        ...


class Writer(Protocol):
    """One rung, loaded: it writes answers, as many at a time as it has slots."""

    @property
    def context(self) -> int:
        """Tokens that prompt and answer may have together."""
        ...

    def write(self, prompt: Prompt, options: Options) -> Answer:
        """Begin an answer; nothing is computed before it is iterated."""
        ...

    def close(self) -> None:
        """Free it; a second call does nothing."""
        ...


@dataclass(frozen=True)
class Rungs:
    """The rungs of a bundle that writes, as the service knows them.

    Args:
        names: from cheap to dear.
        memory_bytes: resident that each is expected to take; a name that is missing is not known.
        chat: whether the model has a chat template.
        context: tokens of prompt and answer together.
    """

    names: tuple[str, ...]
    memory_bytes: Mapping[str, int] = field(default_factory=dict)
    chat: bool = True
    context: int = 2048


def texts(pieces: Sequence[Piece]) -> str:
    """The text of some pieces."""
    return "".join(piece.text for piece in pieces)
