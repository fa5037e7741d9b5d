"""Events of llama.cpp's streams, as pieces. Nothing that an engine says is trusted to have the right form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import DataError, EngineError, EngineFaultError, PromptTooLongError, ShoestringError
from shoestring.runtimes.llamacpp.asking import LENGTH, STOP, Piece, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TOO_LONG = "exceed_context_size_error"
_MAX_REASON = 400


@dataclass
class Reader:
    """Turns the events of one answer into its pieces.

    Args:
        who: answers, for messages.
        finish: why the answer ended; None before it did.
        tokens: of the answer so far, where nobody counts them better.
        prompt: (tokens read, tokens of the prompt), as last told.
    """

    who: str
    finish: str | None = None
    tokens: int = 0
    prompt: tuple[int, int] = (0, 0)

    def pieces(self, event: Mapping[str, Any]) -> Iterator[Piece]:
        """The pieces of one event; the one with `finish` and `usage` is the last of the answer.

        Raises:
            DataError, EngineError: the event tells of one.
            EngineFaultError: it makes no sense.
        """
        if "error" in event:
            raise refusal(self.who, event["error"])
        try:
            yield from self._pieces(event)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise EngineFaultError(f"{self.who} answered what makes no sense: {error!r}", "shape") from error

    def _pieces(self, event: Mapping[str, Any]) -> Iterator[Piece]:
        progress = event.get("prompt_progress")
        if progress is not None:
            self.prompt = int(progress["processed"]), int(progress["total"])
            yield Piece("", progress=self.prompt)
            return
        for choice in event["choices"]:
            delta = choice.get("delta", choice)
            text = str(delta.get("content") or delta.get("text") or "")
            marks = (choice.get("logprobs") or {}).get("content") or []
            self.tokens += max(len(marks), bool(text))
            yield from _told(text, marks)
            if choice.get("finish_reason") is not None:
                self.finish = LENGTH if choice["finish_reason"] == "length" else STOP
        if self.finish is not None and event.get("usage") is not None:
            yield Piece("", finish=self.finish, usage=_usage(event["usage"], event.get("timings") or {}))

    def cut(self, finish: str) -> Piece:
        """The last piece of an answer that we end ourselves."""
        return Piece("", finish=finish, usage=Usage(self.prompt[1], 0, self.tokens))


def _told(text: str, marks: list[Any]) -> Iterator[Piece]:
    """One piece for each token where log-probabilities are told: a text may be of several, or of none yet."""
    if not marks:
        if text:
            yield Piece(text)
        return
    for place, mark in enumerate(marks):
        likeliest = tuple((str(one["token"]), float(one["logprob"])) for one in mark.get("top_logprobs") or [])
        last = place == len(marks) - 1
        yield Piece(text if last else "", float(mark["logprob"]), likeliest)


def _usage(plain: Mapping[str, Any], timings: Mapping[str, Any]) -> Usage:
    cached = (plain.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    written = int(plain["completion_tokens"])
    return Usage(
        prompt_tokens=int(plain["prompt_tokens"]),
        cached_tokens=int(cached),
        written_tokens=written,
        read_s=_seconds(timings.get("prompt_ms")),
        written_s=_seconds(timings.get("predicted_ms")),
        drafted_tokens=int(timings.get("draft_n", 0)),
        accepted_tokens=int(timings.get("draft_n_accepted", 0)),
    )


def _seconds(milliseconds: Any) -> float | None:
    return None if milliseconds is None else float(milliseconds) / 1000


def refusal(who: str, error: Any) -> ShoestringError:
    """What an error of the engine's endpoints is in our tree.

    Args:
        who: refuses.
        error: the value under the key `error`.
    """
    if not isinstance(error, dict):
        return EngineError(f"{who} fails: {str(error)[:_MAX_REASON]}")
    reason = str(error.get("message"))[:_MAX_REASON]
    if error.get("type") == _TOO_LONG:
        return too_long(int(error.get("n_prompt_tokens", 0)), int(error.get("n_ctx", 0)))
    if isinstance(error.get("code"), int) and 400 <= error["code"] < 500:
        return DataError(f"{who} refuses the request: {reason}")
    return EngineError(f"{who} fails: {reason}")


def too_long(tokens: int, context: int) -> PromptTooLongError:
    """A prompt that is longer than the context."""
    return PromptTooLongError(
        f"the prompt has {tokens:,} tokens, and the context holds {context:,}, the answer included",
        tokens,
        context,
        hint="shorten the prompt, or serve with a longer context",
    )


__all__ = ["Reader", "refusal", "too_long"]
