"""Answers in the shapes of OpenAI's API: whole, or chunk by chunk.

The field `shoestring` is ours: which rung wrote, and what a cascade decided. `model` names the rung behind the model's
name, as OpenAI names the exact version behind an alias.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shoestring.device.serve.http import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.device.language.nouns import Likely, Piece, Usage, Written
    from shoestring.device.language.reading import Ask

DONE = b"data: [DONE]\n\n"
ALIVE = b": waiting\n\n"
"""A comment (HTML living standard, 9.2.6): clients pass over it, and proxies see that somebody is there."""


@dataclass
class Shape:
    """One answer's fixed fields.

    Args:
        ask: that is answered.
        name: of the model.
        created: time of day, s since the epoch.
    """

    ask: Ask
    name: str
    created: int

    def __post_init__(self) -> None:
        self._id = ("chatcmpl-" if self.ask.chat else "cmpl-") + secrets.token_hex(12)
        self.rung: str | None = None
        self.more: dict[str, Any] = {}
        self._offset = 0

    def whole(self, pieces: Sequence[Piece]) -> dict[str, Any]:
        """The answer to a request that did not ask for a stream."""
        text = "".join(piece.text for piece in pieces)
        tokens = [token for piece in pieces for token in piece.tokens]
        finish = next((piece.finish for piece in reversed(pieces) if piece.finish is not None), None)
        usage = next((piece.usage for piece in reversed(pieces) if piece.usage is not None), None)
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "logprobs": self._logprobs(tokens)}
        if self.ask.chat:
            choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        else:
            choice["text"] = text
        said = self._head("chat.completion" if self.ask.chat else "text_completion")
        return {**said, "choices": [choice], "usage": None if usage is None else usage_of(usage)}

    def first(self) -> bytes:
        """What a stream of a conversation begins with; nothing for others."""
        return (
            self._event([self._choice({"role": "assistant", "content": "", "refusal": None})]) if self.ask.chat else b""
        )

    def chunk(self, piece: Piece) -> bytes:
        """One piece of a stream; nothing for a piece that says nothing."""
        if not piece.text and not piece.tokens:
            return b""
        return self._event([self._choice({"content": piece.text}, piece.text, piece.tokens)])

    def last(self, finish: str | None, usage: Usage | None) -> bytes:
        """The end of a stream."""
        end = self._event([self._choice({}, finish=finish)])
        if self.ask.include_usage and usage is not None:
            end += self._event([], usage_of(usage))
        return end + DONE

    def _choice(
        self, delta: dict[str, Any], text: str = "", tokens: Sequence[Written] = (), finish: str | None = None
    ) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "logprobs": self._logprobs(tokens)}
        if self.ask.chat:
            choice["delta"] = delta
        else:
            choice["text"] = text
        return choice

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        said = self._head("chat.completion.chunk" if self.ask.chat else "text_completion")
        said["choices"] = choices
        if self.ask.include_usage:
            said["usage"] = usage
        return event(said)

    def _head(self, kind: str) -> dict[str, Any]:
        model = self.name if self.rung is None else f"{self.name}:{self.rung}"
        said = {"id": self._id, "object": kind, "created": self.created, "model": model}
        return {**said, "system_fingerprint": None, "shoestring": {"rung": self.rung, **self.more}}

    def _logprobs(self, tokens: Sequence[Written]) -> dict[str, Any] | None:
        if not self.ask.logprobs or not tokens:
            return None
        if self.ask.chat:
            content = [{**_entry(one.token), "top_logprobs": [_entry(o) for o in one.others]} for one in tokens]
            return {"content": content, "refusal": None}
        offsets = []
        for one in tokens:
            offsets.append(self._offset)
            self._offset += len(one.token.text)
        return {
            "tokens": [one.token.text for one in tokens],
            "token_logprobs": [one.token.logprob for one in tokens],
            "top_logprobs": [{other.text: other.logprob for other in one.others} for one in tokens],
            "text_offset": offsets,
        }


def usage_of(usage: Usage) -> dict[str, Any]:
    """Tokens as OpenAI counts them."""
    return {
        "prompt_tokens": usage.read,
        "completion_tokens": usage.written,
        "total_tokens": usage.read + usage.written,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }


def event(said: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + encode(said) + b"\n\n"


def _entry(token: Likely) -> dict[str, Any]:
    return {"token": token.text, "logprob": token.logprob, "bytes": list(token.octets)}


__all__ = ["ALIVE", "DONE", "Shape", "event", "usage_of"]
