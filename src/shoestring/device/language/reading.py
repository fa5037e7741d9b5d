"""What a request for text means: its prompt, its options, and what else of OpenAI's API we do or refuse.

Source: OpenAI's API reference, chat completions and (legacy) completions; fields as in openai-python 3.57.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from shoestring.device.language.fields import Fields, shown
from shoestring.device.language.nouns import Options, Prompt
from shoestring.device.language.refusals import bad

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_MESSAGES = 4096
"""Of one conversation: at eight tokens each, more than any context that we serve holds."""
MAX_STOPS, MAX_STOP_CHARACTERS = 4, 256  # OpenAI's number; longer stop words are prompts
MAX_SEED = 2**63 - 1
MAX_TOKENS = 1 << 20  # as base.limits.MAX_TEXT_TOKENS; the context is the real limit
MAX_SCHEMA_BYTES = 64 * 1024
"""A schema becomes a grammar that is walked at every token."""
MAX_TOP_LOGPROBS = 20  # OpenAI's
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_ONE = "one answer a request is written"
_TOOLS = "tools are not called here"


@dataclass(frozen=True)
class Ask:
    """One request.

    Args:
        model: as the client named it.
        prompt: to be answered.
        options: how.
        stream: whether pieces are sent as they come.
        include_usage: whether a stream ends with a chunk of usage.
        logprobs: whether the client wants them told.
        chat: whether it is a conversation.
    """

    model: str
    prompt: Prompt
    options: Options
    stream: bool
    include_usage: bool
    logprobs: bool
    chat: bool


def read_chat(body: bytes) -> Ask:
    """A request for `/v1/chat/completions`. Raises ApiRefusal that names the field."""
    fields = Fields(body)
    model = _model(fields)
    messages = _messages(fields.take("messages"))
    told = fields.truth("logprobs")
    top = fields.whole("top_logprobs", 0, MAX_TOP_LOGPROBS)
    if top is not None and not told:
        raise fields.wrong("top_logprobs", "needs logprobs to be true")
    most = fields.whole("max_tokens", 1, MAX_TOKENS)
    newer = fields.whole("max_completion_tokens", 1, MAX_TOKENS)
    json, schema = _format(fields)
    for name in ("tools", "functions"):
        fields.only(name, [], why=_TOOLS)
    for name in ("tool_choice", "function_call"):
        fields.only(name, "none", "auto", why=_TOOLS)
    fields.only("modalities", ["text"], why="only text is written here")
    for name in ("audio", "prediction", "web_search_options"):
        fields.only(name, why="it is not done here")
    fields.ignore("parallel_tool_calls", "reasoning_effort", "verbosity")
    options = _options(fields, newer if newer is not None else most, (top or 0) if told else None, json, schema)
    stream, usage = _stream(fields)
    fields.done()
    return Ask(model, Prompt(messages=messages), options, stream, usage, told, chat=True)


def read_completion(body: bytes) -> Ask:
    """A request for `/v1/completions`. Raises ApiRefusal that names the field."""
    fields = Fields(body)
    model = _model(fields)
    text = _text(fields.take("prompt"))
    most = fields.whole("max_tokens", 1, MAX_TOKENS)
    logprobs = fields.whole("logprobs", 0, 5)  # OpenAI's limit of this older call
    fields.only("best_of", 1, why=_ONE)
    fields.only("echo", False, why="the prompt is not repeated")
    fields.only("suffix", "", why="text is not filled in before another")
    options = _options(fields, 16 if most is None else most, logprobs, False, None)  # 16: OpenAI's default
    stream, usage = _stream(fields)
    fields.done()
    return Ask(model, Prompt(text=text), options, stream, usage, logprobs is not None, chat=False)


def _model(fields: Fields) -> str:
    model = fields.text("model")
    if not model:
        raise fields.wrong("model", "is missing; /v1/models lists those that there are", "missing_required_parameter")
    return model


def _options(
    fields: Fields, most: int | None, logprobs: int | None, json: bool, schema: dict[str, Any] | None
) -> Options:
    fields.only("n", 1, why=_ONE)
    for name in ("frequency_penalty", "presence_penalty"):
        fields.only(name, 0, 0.0, why="tokens are not held back here")
    fields.only("logit_bias", {}, why="tokens are not favoured here")
    fields.only("store", False, why="nothing is kept")
    fields.ignore("user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key")
    top_p = fields.number("top_p", 0.0, 1.0, 1.0)
    if top_p == 0:
        raise fields.wrong("top_p", "is 0, it must be above 0; temperature 0 takes the likeliest token")
    return Options(
        max_tokens=most,
        temperature=fields.number("temperature", 0.0, 2.0, 1.0),
        top_p=top_p,
        seed=fields.whole("seed", -MAX_SEED - 1, MAX_SEED),
        stop=_stops(fields),
        logprobs=logprobs,
        json=json,
        schema=schema,
    )


def _stops(fields: Fields) -> tuple[str, ...]:
    value = fields.take("stop")
    words = () if value is None else (value,) if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise fields.wrong("stop", f"is {shown(value)}, not a text or a list of texts")
    if len(words) > MAX_STOPS:
        raise fields.wrong("stop", f"has {len(words)} words, the limit is {MAX_STOPS}")
    for word in words:
        if not 1 <= len(word) <= MAX_STOP_CHARACTERS:
            raise fields.wrong("stop", f"has a word of {len(word)} characters, it must be 1 to {MAX_STOP_CHARACTERS}")
    return tuple(words)


def _stream(fields: Fields) -> tuple[bool, bool]:
    stream = fields.truth("stream")
    inner = fields.inner("stream_options")
    if inner is None:
        return stream, False
    if not stream:
        raise fields.wrong("stream_options", "needs stream to be true")
    usage = inner.truth("include_usage")
    inner.ignore("include_obfuscation")
    inner.done()
    return stream, usage


def _format(fields: Fields) -> tuple[bool, dict[str, Any] | None]:
    """Whether JSON is wanted, and its schema."""
    inner = fields.inner("response_format")
    if inner is None:
        return False, None
    kind = inner.text("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise inner.wrong("type", f"is {shown(kind)}; there are text, json_object and json_schema")
    if kind != "json_schema":
        inner.done()
        return kind == "json_object", None
    asked = inner.inner("json_schema")
    if asked is None:
        raise inner.wrong("json_schema", "is missing", "missing_required_parameter")
    schema = asked.take("schema")
    if not isinstance(schema, dict):
        raise asked.wrong("schema", f"is {shown(schema)}, not a JSON schema")
    size = len(msgspec.json.encode(schema))
    if size > MAX_SCHEMA_BYTES:
        raise asked.wrong("schema", f"has {size} bytes, the limit is {MAX_SCHEMA_BYTES}")
    asked.ignore("name", "description", "strict")
    asked.done()
    inner.done()
    return True, schema


def _messages(value: Any) -> tuple[tuple[str, str], ...]:
    if value is None:
        raise bad("messages", "messages is missing", "missing_required_parameter")
    if not isinstance(value, list) or not value:
        raise bad("messages", f"messages is {shown(value)}, not a list with at least one message", "invalid_value")
    if len(value) > MAX_MESSAGES:
        raise bad("messages", f"messages has {len(value)} entries, the limit is {MAX_MESSAGES}", "invalid_value")
    return tuple(_message(one, place) for place, one in enumerate(value))


def _message(value: Any, place: int) -> tuple[str, str]:
    fields = Fields(value, f"messages[{place}].")
    role = fields.text("role")
    if role not in ROLES:
        raise fields.wrong("role", f"is {shown(role)}; there are {', '.join(ROLES)}")
    for name in ("tool_calls", "function_call", "audio"):
        fields.only(name, [], why=_TOOLS)
    content = _content(fields.take("content"), fields)
    fields.ignore("name", "refusal", "annotations")
    fields.done()
    return ROLES[role], content


def _content(value: Any, fields: Fields) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise fields.wrong("content", f"is {shown(value)}, not a text")
    return "\n".join(_part(part, fields) for part in value)


def _part(value: Any, fields: Fields) -> str:
    if not isinstance(value, dict) or value.get("type") != "text" or not isinstance(value.get("text"), str):
        raise fields.wrong("content", "has a part that is no text; this model reads text alone", "unsupported_value")
    text: str = value["text"]
    return text


def _text(value: Any) -> str:
    if value is None:
        raise bad("prompt", "prompt is missing", "missing_required_parameter")
    one: Sequence[Any] = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    if len(one) != 1 or not isinstance(one[0], str):
        raise bad("prompt", f"prompt is {shown(value)}; it must be one text: {_ONE}", "unsupported_value")
    text: str = one[0]
    return text


__all__ = ["Ask", "read_chat", "read_completion"]
