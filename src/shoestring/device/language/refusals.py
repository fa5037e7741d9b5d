"""Refusals in the shape that OpenAI's clients read: {"error": {"message", "type", "param", "code"}}.

Source: OpenAI's API reference, section on errors, as its own Python client reads it (openai 3.57, `_exceptions.py`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import DataError, EngineFaultError, PromptTooLongError, ShoestringError
from shoestring.device.serve.http import Refusal, Response, encode

if TYPE_CHECKING:
    from shoestring.device.serve.http import Header

TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
         413: "invalid_request_error", 415: "invalid_request_error", 429: "rate_limit_error"}  # fmt: skip
CODES = {401: "invalid_api_key", 404: "not_found", 429: "rate_limit_exceeded", 503: "unavailable", 504: "timeout"}


class ApiRefusal(Refusal):
    """A refusal that names the field.

    Args:
        status, words, headers: as of `Refusal`.
        param: name of the field; None: none is to blame.
        code: for programs; None takes the usual one of the status.
    """

    def __init__(
        self, status: int, words: str, *headers: Header, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(status, words, *headers)
        self.param, self.code = param, code


def bad(param: str | None, words: str, code: str | None = None) -> ApiRefusal:
    """A request that cannot be meant: 400.

    Args:
        param: the field to blame.
        words: what is wrong with it, the value, the limit.
        code: for programs.
    """
    return ApiRefusal(400, words, param=param, code=code)


def later(words: str, seconds: float, *, status: int = 503, code: str | None = None) -> ApiRefusal:
    """Not now: ask again in so many seconds."""
    return ApiRefusal(status, words, (b"retry-after", str(max(1, math.ceil(seconds))).encode()), code=code)


def said(refused: Refusal) -> dict[str, Any]:
    """The error object."""
    status = refused.status
    code = getattr(refused, "code", None) or CODES.get(status)
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    inner = {"message": refused.words, "type": kind, "param": getattr(refused, "param", None), "code": code}
    return {"error": inner}


def response(refused: Refusal) -> Response:
    """The whole answer."""
    return Response(encode(said(refused)), status=refused.status, headers=refused.headers)


def of_error(error: ShoestringError) -> Refusal:
    """An error of ours as an answer."""
    words = error.message if error.hint is None else f"{error.message}; {error.hint}"
    if isinstance(error, PromptTooLongError):
        return bad("messages", words, "context_length_exceeded")
    if isinstance(error, DataError):
        return bad(None, words)
    if isinstance(error, EngineFaultError):
        wait = getattr(error, "next_try_s", None)
        return later(words, 1.0 if wait is None else wait, code="engine_" + error.fault)
    return ApiRefusal(500, words, code="engine_failed")


__all__ = ["ApiRefusal", "bad", "later", "of_error", "response", "said"]
