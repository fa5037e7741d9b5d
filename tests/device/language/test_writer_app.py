"""The server of a model that writes: its routes are described, its figures are what its text format says."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serving_asks import until
from serving_writers import NAME, WriterServer, make_service
from shoestring.device.language.app import WriterApp
from shoestring.device.language.nouns import Piece, Usage
from shoestring.device.serve import Settings
from shoestring.device.serve.pages import STATIC
from shoestring.device.serve.written import Tokens

Start = Callable[..., WriterServer]
SPEC: dict[str, Any] = json.loads((STATIC / "openapi-language.json").read_text())


def get(server: WriterServer, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.address, timeout=60)
    connection.request(
        "GET" if body is None else "POST",
        path,
        None if body is None else json.dumps(body),
        {"Content-Type": "application/json"},
    )
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_route_is_described_and_says_whether_it_needs_a_token() -> None:
    routes = WriterApp(make_service(), Settings()).routes
    described = {(method.upper(), path) for path, item in SPEC["paths"].items() for method in item}
    assert described == {(route.method, route.path) for route in routes}
    for route in routes:
        operation = SPEC["paths"][route.path][route.method.lower()]
        assert (operation.get("security") == []) == route.open_to_all, route.path
        assert ("401" in operation["responses"]) != route.open_to_all, route.path
    used = set(references(SPEC))
    there = {
        f"#/components/{k}/{n}" for k, items in SPEC["components"].items() if k != "securitySchemes" for n in items
    }
    assert used == there


def test_what_the_server_answers_fits_its_description(write_server: Start) -> None:
    jsonschema = pytest.importorskip("jsonschema_rs")
    server = write_server()

    def check(path: str, route: str, method: str, body: dict[str, Any] | None = None) -> None:
        status, data = get(server, path, body)
        answer = SPEC["paths"][route][method]["responses"][str(status)]
        if "$ref" in answer:
            answer = SPEC["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        schema = {**answer["content"]["application/json"]["schema"], "components": SPEC["components"]}
        jsonschema.validate(schema, json.loads(data))

    chat = {"model": NAME, "messages": [{"role": "user", "content": "hello"}]}
    check("/v1/models", "/v1/models", "get")
    check(f"/v1/models/{NAME}:small", "/v1/models/{name}", "get")
    check("/v1/models/other", "/v1/models/{name}", "get")
    check("/v1/chat/completions", "/v1/chat/completions", "post", chat)
    check("/v1/chat/completions", "/v1/chat/completions", "post", {**chat, "n": 3})
    check("/v1/chat/completions", "/v1/chat/completions", "post", {**chat, "model": "other"})
    check("/v1/completions", "/v1/completions", "post", {"model": NAME, "prompt": "hello"})
    check("/v1/state", "/v1/state", "get")
    check("/v2/health/ready", "/v2/health/ready", "get")
    with pytest.raises(jsonschema.ValidationError):  # the saboteur: a member that is missing
        jsonschema.validate({**SPEC["components"]["schemas"]["Model"]}, {"id": "x"})


def test_the_figures_are_what_happened(write_server: Start) -> None:
    server = write_server({}, "--seconds", "0.005")
    for text in ("one two", "three four five"):
        assert get(server, "/v1/completions", {"model": NAME, "prompt": text})[0] == 200
    text = get(server, "/metrics")[1].decode()
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(figures["shoestring_answers_total"]) == 2
    assert float(figures['shoestring_tokens_total{kind="read"}']) == 5
    assert float(figures['shoestring_tokens_total{kind="written"}']) == 5
    assert float(figures["shoestring_first_token_seconds_count"]) == 2
    assert float(figures['shoestring_rung{rung="large"}']) == 1
    assert 0 < float(figures["shoestring_tokens_per_second"]) < 1 / 0.005
    state = json.loads(get(server, "/v1/state")[1])
    assert state["written"]["written"] == 5
    assert state["rung"] == "large"
    assert state["counts"]["answered"] == 2


def test_a_crash_shows_on_the_page_until_an_answer_comes_through(write_server: Start) -> None:
    server = write_server()

    def troubles() -> list[str]:
        return [one["words"] for one in json.loads(get(server, "/v1/state")[1])["troubles"]]

    assert get(server, "/v1/completions", {"model": NAME, "prompt": "!die 1"})[0] == 503
    assert troubles() == ["the engine crashed (signal 11)"]
    assert get(server, "/v1/completions", {"model": NAME, "prompt": "well?"})[0] == 200
    assert troubles() == []


def test_a_model_without_a_chat_template_says_so() -> None:
    import asyncio

    from shoestring.device.language.refusals import ApiRefusal

    app = WriterApp(make_service(chat=False), Settings())

    async def go() -> None:
        with pytest.raises(ApiRefusal, match="no chat template"):
            await app.api.chat(None, {})  # type: ignore[arg-type]

    asyncio.run(go())


def test_the_rate_is_of_one_answer_and_forgets_pauses() -> None:
    now = [0.0]
    tokens = Tokens(lambda: now[0])
    for second in range(5):  # two answers at once, each of two tokens a second
        for stream in (1, 2):
            tokens.piece(Piece("a", count=2), float(second), stream)
    now[0] = 5.0
    assert tokens.snapshot()["tokens_per_s"] == pytest.approx(2.0)
    tokens.piece(Piece(count=0, finish="stop", usage=Usage(3, 10)), 100.0, 1)
    tokens.piece(Piece("a"), 200.0, 1)  # a new answer: the pause before it is nobody's
    now[0] = 200.0
    assert tokens.snapshot()["tokens_per_s"] is None
    assert tokens.counts() == {"answers": 1, "read": 3, "written": 10, "refused": 0}


def test_the_page_has_a_place_for_writing(write_server: Start) -> None:
    server = write_server()
    page = get(server, "/")[1].decode()
    assert 'id="writing"' in page
    assert b"chat/completions" in get(server, "/docs")[1]
    until(lambda: get(server, "/v2/health/ready")[0] == 200)


def test_a_rungs_name_cannot_end_the_line_of_a_header() -> None:
    from shoestring.device.language.api import _header

    assert _header("mix-62MB@llamacpp") == b"mix-62MB@llamacpp"
    assert _header("a\r\nset-cookie: x=1\u00e9") == b"a??set-cookie: x=1?"
