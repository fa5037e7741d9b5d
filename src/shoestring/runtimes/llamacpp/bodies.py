"""Options in the words of llama.cpp's HTTP endpoints (tools/server/README.md of github.com/ggml-org/llama.cpp)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoestring.base.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shoestring.runtimes.llamacpp.asking import Options

CHAT, COMPLETION, EMBEDDING = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
TOKENIZE, TEMPLATE, MODELS = "/tokenize", "/apply-template", "/v1/models"


def chat_body(messages: Sequence[Mapping[str, Any]], options: Options) -> dict[str, Any]:
    """For CHAT. Raises DataError for messages that are none."""
    check_messages(messages)
    wanted = {"logprobs": True, "top_logprobs": max(1, options.likeliest)} if _wants(options) else {}
    return {"messages": [dict(one) for one in messages], **_body(options), **wanted}


def check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    """Raise DataError unless every message has a role and a text, which is all that a model here can take."""
    if not messages:
        raise DataError("a conversation without messages was asked for", hint="give at least one")
    for place, message in enumerate(messages):
        role, content = message.get("role"), message.get("content")
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        sound = all(
            isinstance(one, dict) and one.get("type") == "text" and isinstance(one.get("text"), str) for one in parts
        )
        if not isinstance(role, str) or not role or not parts or not sound:
            raise DataError(
                f"message {place} is no role with a text",
                hint='{"role": "user", "content": "..."}; text is all it can be',
            )


def completion_body(prompt: str | Sequence[int], options: Options) -> dict[str, Any]:
    """For COMPLETION."""
    wanted = {"logprobs": max(1, options.likeliest)} if _wants(options) else {}
    return {"prompt": prompt if isinstance(prompt, str) else list(prompt), **_body(options), **wanted}


def _wants(options: Options) -> bool:
    return options.logprobs or options.likeliest > 0


def _body(options: Options) -> dict[str, Any]:
    body: dict[str, Any] = {
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,  # also a sign of life while a long prompt is read
        "temperature": options.temperature,
        "top_p": options.top_p,
        "top_k": options.top_k,
        "min_p": options.min_p,
        "cache_prompt": options.cache,
        "stop": list(options.stop),
    }
    if options.max_tokens is not None:
        body["max_tokens"] = options.max_tokens
    if options.seed is not None:
        body["seed"] = options.seed
    if options.grammar is not None:
        body["grammar"] = options.grammar
    elif options.schema is not None:
        schema = {"name": "answer", "schema": dict(options.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif options.json:
        body["response_format"] = {"type": "json_object"}
    return body


__all__ = [
    "CHAT",
    "COMPLETION",
    "EMBEDDING",
    "MODELS",
    "TEMPLATE",
    "TOKENIZE",
    "chat_body",
    "check_messages",
    "completion_body",
]
