"""OpenAI's own client finds what it expects: whole answers, streams, errors, models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from serving_writers import NAME, WriterServer

openai = pytest.importorskip("openai")

Start = Callable[..., WriterServer]


def client(server: WriterServer, key: str = "none") -> Any:
    return openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0, timeout=60)


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_everything_of_a_whole_answer(write_server: Start) -> None:
    api = client(write_server())
    models = [model.id for model in api.models.list()]
    assert models == [NAME, f"{NAME}:small", f"{NAME}:large"]
    assert api.models.retrieve(models[1]).id == models[1]
    said = api.chat.completions.create(
        model=NAME, messages=ask("good day to you"), logprobs=True, top_logprobs=2, temperature=0, seed=3
    )
    choice = said.choices[0]
    assert (choice.message.content, choice.message.role) == ("GOOD DAY TO YOU ", "assistant")
    assert (choice.finish_reason, choice.index) == ("stop", 0)
    assert (said.usage.prompt_tokens, said.usage.completion_tokens, said.usage.total_tokens) == (4, 4, 8)
    assert [one.token for one in choice.logprobs.content] == ["GOOD ", "DAY ", "TO ", "YOU "]
    assert len(choice.logprobs.content[0].top_logprobs) == 2
    assert bytes(choice.logprobs.content[0].bytes) == b"GOOD "
    assert said.model == f"{NAME}:large"
    assert said.shoestring == {"rung": "large"}
    small = api.chat.completions.create(model=f"{NAME}:small", messages=ask("hi"))
    assert (small.model, small.shoestring["rung"]) == (f"{NAME}:small", "small")
    short = api.chat.completions.create(model=NAME, messages=ask("!count 9"), max_tokens=4)
    assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 4)
    stopped = api.chat.completions.create(model=NAME, messages=ask("!count 9"), stop=["three"])
    assert (stopped.choices[0].finish_reason, stopped.choices[0].message.content) == ("stop", "one two ")
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    forced = api.chat.completions.create(model=NAME, messages=ask("x"), response_format=form)
    assert forced.choices[0].message.content == '{"rung": "large"}'
    old = api.completions.create(model=NAME, prompt="go on then", logprobs=1)
    assert (old.choices[0].text, old.object) == ("GO ON THEN ", "text_completion")
    assert old.choices[0].logprobs.text_offset == [0, 3, 6]


def test_everything_of_a_stream(write_server: Start) -> None:
    api = client(write_server())
    chunks = list(
        api.chat.completions.create(
            model=NAME, messages=ask("a b c"), stream=True, stream_options={"include_usage": True}
        )
    )
    assert [chunk.object for chunk in chunks] == ["chat.completion.chunk"] * 6
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "A B C "
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * 4 + ["stop"]
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 3)
    plain = list(api.chat.completions.create(model=NAME, messages=ask("a b"), stream=True))
    assert [bool(chunk.choices) for chunk in plain] == [True] * 4
    old = list(api.completions.create(model=NAME, prompt="x y", stream=True))
    assert "".join(chunk.choices[0].text for chunk in old) == "X Y "


def test_errors_are_of_the_classes_that_the_client_knows(write_server: Start) -> None:
    api = client(write_server())
    create = api.chat.completions.create
    with pytest.raises(openai.BadRequestError) as bad:
        create(model=NAME, messages=ask("x"), n=2)
    assert (bad.value.param, bad.value.type) == ("n", "invalid_request_error")
    with pytest.raises(openai.NotFoundError) as unknown:
        create(model="gpt-9", messages=ask("x"))
    assert unknown.value.code == "model_not_found"
    assert NAME in str(unknown.value)
    with pytest.raises(openai.NotFoundError):
        api.models.retrieve("gpt-9")
    with pytest.raises(openai.NotFoundError):
        api.embeddings.create(model=NAME, input="x")
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as long:
            create(model=NAME, messages=ask("word " * 300), stream=stream)
        assert long.value.code == "context_length_exceeded"
        assert "300" in str(long.value) and "256" in str(long.value)
    with pytest.raises(openai.BadRequestError):
        create(model=NAME, messages=ask("!refuse"))
    with pytest.raises(openai.InternalServerError) as dead:
        create(model=NAME, messages=ask("!die 3"))
    assert (dead.value.status_code, dead.value.code) == (503, "engine_crashed")
    with pytest.raises(openai.APIError, match="crashed"):
        list(create(model=NAME, messages=ask("!die 3"), stream=True))
    assert create(model=NAME, messages=ask("still there")).choices[0].message.content == "STILL THERE "


def test_a_token_is_asked_for_where_there_are_some(write_server: Start) -> None:
    import hashlib

    key = "k" * 43
    server = write_server({"tokens": [["ann", hashlib.sha256(key.encode()).hexdigest()]]})
    with pytest.raises(openai.AuthenticationError) as refused:
        client(server, "wrong").models.list()
    assert refused.value.code == "invalid_api_key"
    assert client(server, key).models.list().data


def test_a_cascade_keeps_what_the_small_rung_is_sure_of(write_server: Start) -> None:
    api = client(write_server({}, "--cascade"))
    create = api.chat.completions.create
    easy = create(model=NAME, messages=ask("an easy one"), temperature=0)
    assert easy.shoestring["rung"] == "small"
    assert easy.shoestring["cascade"] == "kept"
    assert easy.choices[0].logprobs is None  # they were only ours to know
    hard = create(model=NAME, messages=ask("a hard one"), temperature=0)
    assert (hard.shoestring["rung"], hard.shoestring["cascade"]) == ("large", "passed on")
    assert hard.shoestring["sureness"] == -2.0
    chunks = list(create(model=NAME, messages=ask("a hard one"), temperature=0, stream=True))
    assert {chunk.shoestring["rung"] for chunk in chunks} == {"large"}
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "A HARD ONE "
    for other in ({"temperature": 1}, {"response_format": {"type": "json_object"}, "temperature": 0}):
        assert "cascade" not in create(model=NAME, messages=ask("an easy one"), **other).shoestring
    assert create(model=f"{NAME}:large", messages=ask("easy"), temperature=0).shoestring == {"rung": "large"}
