"""Clients that hang up or ask too much, engines that die: the next request is served, and nothing is lost."""

from __future__ import annotations

import hashlib
import http.client
import json
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from serving_asks import closed, metric, until
from serving_writers import NAME, WriterServer

Start = Callable[..., WriterServer]
PATH = "/v1/chat/completions"


def body_of(text: str, **more: Any) -> bytes:
    return json.dumps({"model": NAME, "messages": [{"role": "user", "content": text}], **more}).encode()


def send(server: WriterServer, text: str, key: str | None = None, **more: Any) -> socket.socket:
    """A request over a socket of its own; nothing is read yet."""
    body = body_of(text, **more)
    token = "" if key is None else f"Authorization: Bearer {key}\r\n"
    head = f"POST {PATH} HTTP/1.1\r\nHost: {server.address}\r\nContent-Type: application/json\r\n{token}"
    connection = server.ask()
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def ask(server: WriterServer, text: str, **more: Any) -> tuple[int, dict[str, str], Any]:
    connection = http.client.HTTPConnection(server.address, timeout=60)
    connection.request("POST", PATH, body_of(text, **more), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    stream = answer.getheader("content-type") == "text/event-stream"
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data if stream else json.loads(data)


def under_way(server: WriterServer) -> float:
    return metric(server, "shoestring_answers_under_way ")


def waiting(server: WriterServer) -> float:
    return metric(server, "shoestring_queue_length ")


def test_a_client_that_hangs_up_within_a_stream_frees_the_engine(write_server: Start) -> None:
    server = write_server({}, "--seconds", "0.02")
    connection = send(server, "!count 250", stream=True)
    while b"data:" not in connection.recv(65536):
        pass
    connection.close()
    status, _, said = ask(server, "next please")
    assert (status, said["choices"][0]["message"]["content"]) == (200, "NEXT PLEASE ")
    # The whole of the other answer would have been a second one, and 250 tokens more.
    assert metric(server, 'shoestring_tokens_total{kind="written"}') == 2
    assert metric(server, "shoestring_answers_total ") == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_before_the_first_piece_does_too(write_server: Start, stream: bool) -> None:
    server = write_server()
    connection = send(server, "!hang", stream=stream)
    until(lambda: under_way(server) == 1)
    connection.close()
    until(lambda: under_way(server) == 0, 10)
    assert ask(server, "next")[0] == 200


def test_a_client_that_hangs_up_in_the_queue_leaves_it(write_server: Start) -> None:
    server = write_server()
    first = send(server, "!hang")
    until(lambda: under_way(server) == 1)
    others = [send(server, f"number {i}", stream=i % 2 == 0) for i in range(4)]
    until(lambda: waiting(server) == 4)
    for one in others:
        one.close()
    until(lambda: waiting(server) == 0)
    first.close()
    assert ask(server, "next")[0] == 200
    assert metric(server, "shoestring_answers_total ") == 1


def test_one_hundred_users_at_once_are_all_answered_with_their_own(write_server: Start) -> None:
    server = write_server({}, "--seconds", "0.001")
    with ThreadPoolExecutor(100) as pool:
        found = list(pool.map(lambda i: ask(server, f"user {i} says", stream=i % 3 == 0), range(100)))
    for number, (status, _, said) in enumerate(found):
        assert status == 200
        if number % 3 == 0:
            assert said.endswith(b"data: [DONE]\n\n")
            events = [json.loads(line[6:]) for line in said.decode().splitlines() if line.startswith("data: {")]
            text = "".join(one["choices"][0]["delta"].get("content") or "" for one in events)
        else:
            text = said["choices"][0]["message"]["content"]
        assert text == f"USER {number} SAYS "
    assert metric(server, "shoestring_answers_total ") == 100
    assert waiting(server) == under_way(server) == 0


def test_clients_with_keys_of_their_own_take_turns(write_server: Start) -> None:
    keys = {name: name * 40 for name in "ab"}
    server = write_server(
        {"tokens": [[name, hashlib.sha256(key.encode()).hexdigest()] for name, key in keys.items()]},
        "--seconds",
        "0.03",
    )
    greedy = [send(server, "!count 5", keys["a"], stream=True) for _ in range(10)]
    assert greedy[0].recv(10)
    modest = send(server, "!count 5", keys["b"], stream=True)
    modest.settimeout(30)
    while b"[DONE]" not in modest.recv(65536):
        pass
    done = 0
    for one in greedy:
        one.settimeout(0.001)
        try:
            while piece := one.recv(65536):
                done += b"[DONE]" in piece
        except TimeoutError:
            pass
        one.close()
    assert done < 6  # it came in front of most of those that had asked before


def test_the_queue_is_bounded_and_says_when_to_come_back(write_server: Start) -> None:
    server = write_server()
    held = [send(server, "!hang")]
    until(lambda: under_way(server) == 1)
    held += [send(server, "wait") for _ in range(128)]
    until(lambda: waiting(server) == 128)
    for stream in (False, True):
        status, headers, said = ask(server, "one more", stream=stream)
        assert status == 429
        assert int(headers["retry-after"]) >= 1
        assert (said["error"]["code"], said["error"]["type"]) == ("queue_full", "rate_limit_error")
        assert "128" in said["error"]["message"]
    for one in held[1:]:
        one.settimeout(30)
    held[0].close()
    for one in held[1:]:
        assert one.recv(12) == b"HTTP/1.1 200"
    assert metric(server, 'shoestring_requests_refused_total{reason="queue"}') == 2


def test_who_waits_with_a_stream_gets_signs_of_life(write_server: Start) -> None:
    server = write_server({}, "--limits", '{"patience_s": 0.1, "alive_s": 0.1}')
    first = send(server, "!hang")
    until(lambda: under_way(server) == 1)
    second = send(server, "my turn", stream=True)
    second.settimeout(30)
    found = b""
    while found.count(b": waiting") < 3:
        found += second.recv(65536)
    assert found.startswith(b"HTTP/1.1 200")
    first.close()
    while b"[DONE]" not in found:
        found += second.recv(65536)
    assert b"MY " in found


def test_what_goes_wrong_after_a_stream_began_is_told_within_it(write_server: Start) -> None:
    server = write_server({}, "--limits", '{"patience_s": 0.1, "alive_s": 0.1}')
    first = send(server, "!hang")
    until(lambda: under_way(server) == 1)
    second = send(server, "word " * 300, stream=True)
    time.sleep(0.3)
    first.close()
    second.settimeout(30)
    found = b""
    while b"context_length_exceeded" not in found:
        found += second.recv(65536)
    assert b"[DONE]" not in found
    status, _, said = ask(server, "!die 2", stream=True)
    assert status == 200
    assert b"engine_crashed" in said
    assert ask(server, "next")[2]["choices"][0]["message"]["content"] == "NEXT "


def test_an_answer_that_takes_too_long_is_ended(write_server: Start) -> None:
    server = write_server({}, "--limits", '{"answer_s": 0.3}')
    status, _, said = ask(server, "!hang")
    assert (status, said["error"]["code"]) == (504, "timeout")
    assert ask(server, "next")[0] == 200


def test_a_turn_that_does_not_come_is_told(write_server: Start) -> None:
    server = write_server({}, "--limits", '{"wait_s": 0.2}')
    first = send(server, "!hang")
    until(lambda: under_way(server) == 1)
    status, headers, said = ask(server, "hello")
    assert (status, said["error"]["code"], "retry-after" in headers) == (503, "queue_timeout", True)
    first.close()
    assert ask(server, "next")[0] == 200


def test_a_form_of_another_site_and_a_large_body_are_refused(write_server: Start) -> None:
    server = write_server()
    connection = http.client.HTTPConnection(server.address, timeout=30)
    connection.request("POST", PATH, body_of("x"), {"Content-Type": "text/plain"})
    answer = connection.getresponse()
    assert answer.status == 415
    assert json.loads(answer.read())["error"]["message"].startswith("content type 'text/plain'")
    large = server.ask()
    head = f"POST {PATH} HTTP/1.1\r\nHost: {server.address}\r\nContent-Type: application/json\r\n"
    large.sendall(f"{head}Content-Length: {5 * 1024 * 1024}\r\n\r\n".encode())
    said = closed(large)
    assert b" 413 " in said.splitlines()[0]
    assert b'"message":"the body has' in said


def test_the_end_of_the_server_finishes_answers_or_says_why_it_does_not(write_server: Start) -> None:
    server = write_server({"drain_s": 20}, "--seconds", "0.05")
    under = send(server, "!count 20", stream=True)
    assert under.recv(10)
    server.process.send_signal(signal.SIGTERM)
    assert b"[DONE]" in closed(under)
    assert server.end()[0] == 0
    server = write_server({"drain_s": 1.5})
    stuck, queued = send(server, "!hang"), send(server, "me too")
    until(lambda: waiting(server) == 1)
    server.process.send_signal(signal.SIGTERM)
    for one in (stuck, queued):
        said = closed(one)
        assert b" 503 " in said.splitlines()[0]
        assert b"the server is ending" in said
    assert server.end()[0] == 0
