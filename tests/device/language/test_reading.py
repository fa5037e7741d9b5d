"""Every field of OpenAI's requests is understood, or refused by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proof_scale import SCALE
from shoestring.device.language.nouns import Options, Prompt
from shoestring.device.language.reading import MAX_MESSAGES, read_chat, read_completion
from shoestring.device.language.refusals import ApiRefusal, said

HELLO = [{"role": "user", "content": "hello"}]


def chat(**fields: Any) -> Any:
    return read_chat(json.dumps({"model": "m", "messages": HELLO, **fields}).encode())


def complete(**fields: Any) -> Any:
    return read_completion(json.dumps({"model": "m", "prompt": "hello", **fields}).encode())


def refused(read: Any, **fields: Any) -> ApiRefusal:
    with pytest.raises(ApiRefusal) as caught:
        read(**fields)
    assert caught.value.status == 400
    return caught.value


def test_what_is_left_out_is_as_with_openai() -> None:
    assert chat().options == Options()
    assert chat().prompt == Prompt(messages=(("user", "hello"),))
    assert complete().options == Options(max_tokens=16)
    assert complete().prompt == Prompt(text="hello")
    assert not chat().stream
    assert chat(temperature=None, stop=None, tools=None).options == Options()


def test_everything_that_we_do_is_understood() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    ask = chat(
        messages=[
            {"role": "developer", "content": "be short"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "c", "refusal": None},
            {"role": "user", "content": "", "name": "ann"},
        ],
        temperature=0,
        top_p=0.5,
        seed=-7,
        max_tokens=3,
        max_completion_tokens=5,
        stop=["x", "y"],
        n=1,
        logprobs=True,
        top_logprobs=4,
        stream=True,
        stream_options={"include_usage": True},
        response_format={"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": schema}},
        user="me",
        frequency_penalty=0,
        tools=[],
        parallel_tool_calls=True,
    )
    assert ask.prompt.messages == (("system", "be short"), ("user", "a\nb"), ("assistant", "c"), ("user", ""))
    assert ask.options == Options(5, 0.0, 0.5, -7, ("x", "y"), 4, True, schema)
    assert (ask.stream, ask.include_usage, ask.logprobs, ask.chat) == (True, True, True, True)
    assert complete(prompt=["one"], logprobs=2, echo=False, best_of=1, max_tokens=7).options.logprobs == 2
    assert chat(response_format={"type": "text"}).options == Options()
    assert chat(response_format={"type": "json_object"}).options.json


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": HELLO * (MAX_MESSAGES + 1)}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [*HELLO, {"role": "user"}]}, "messages[1].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x", "mood": "good"}]}, "messages[0].mood"),
        ({"messages": ["hello"]}, "messages[0]"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"n": 2}, "n"),
        ({"n": True}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"seed": "x"}, "seed"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"stop": 3}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"more": 1}}, "stream_options.more"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": "json"}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": 1}}},
         "response_format.json_schema.schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"d": "x" * 70_000}}}},
            "response_format.json_schema.schema",
        ),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"store": True}, "store"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"mood": "good"}, "mood"),
    ],
)  # fmt: skip
def test_what_we_do_not_do_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    found = refused(chat, **fields)
    assert found.param == param
    assert param in found.words


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"echo": True}, "echo"),
        ({"best_of": 3}, "best_of"),
        ({"suffix": "x"}, "suffix"),
        ({"logprobs": 6}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
    ],
)
def test_completions_likewise(fields: dict[str, Any], param: str) -> None:
    assert refused(complete, **fields).param == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"\xff", b"[" * 100_000, b'{"model": "m", "model": 3}'])
def test_a_body_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(ApiRefusal) as caught:
        read_chat(body)
    assert caught.value.status == 400
    assert set(said(caught.value)["error"]) == {"message", "type", "param", "code"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("messages", "model", "temperature", "top_p", "n", "seed", "stop", "stream", "stream_options", "max_tokens",
         "logprobs", "top_logprobs", "response_format", "tools", "logit_bias", "user", "x")  # fmt: skip


@settings(max_examples=200 * SCALE, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6))
def test_whatever_is_sent_is_read_or_refused(fields: dict[str, Any]) -> None:
    for read in (chat, complete):
        try:
            read(**fields)
        except ApiRefusal as found:
            assert found.status == 400
