"""The server under slow and hostile clients: a real process on a real socket."""

from __future__ import annotations

import socket
import time

import pytest

from serving_asks import Serve, ask, closed, until


def test_a_head_that_comes_byte_by_byte_is_cut_off(serve: Serve) -> None:
    server = serve({"headers_s": 0.5})
    idle, slow = server.ask(), server.ask()
    began = time.monotonic()
    with pytest.raises(OSError):
        for byte in b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 10_000:
            slow.sendall(bytes([byte]))
            time.sleep(0.05)
    assert closed(idle) == b""
    assert time.monotonic() - began < 30
    assert ask(server, "/v2", None)[0] == 200


def test_the_same_client_without_our_connection_class_is_not_cut_off(serve: Serve) -> None:
    """The saboteur: uvicorn alone waits for such a head for ever."""
    plain = serve({"headers_s": 1e6})
    slow = plain.ask()
    for byte in b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n":
        slow.sendall(bytes([byte]))
        time.sleep(0.05)
    slow.sendall(b"\r\n")
    assert slow.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_comes_too_slowly_is_given_up(serve: Serve) -> None:
    server = serve({"body_s": 0.5})
    slow = server.ask()
    slow.sendall(b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n{")
    assert closed(slow).startswith(b"HTTP/1.1 408 ")


def test_an_endless_head_is_cut_off(serve: Serve) -> None:
    server = serve()
    connection = server.ask()
    connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n")
    with pytest.raises(OSError):
        for number in range(1000):
            connection.sendall(b"X-%d: %s\r\n" % (number, b"y" * 1000))
            time.sleep(0.001)
    assert ask(server, "/v2", None)[0] == 200


def test_a_quiet_connection_is_closed(serve: Serve) -> None:
    server = serve({"idle_s": 1.0})
    connection = server.ask()
    connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert closed(connection).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_never_reads_is_cut_off(serve: Serve) -> None:
    server = serve({"write_s": 0.5}, "--scene", "well")
    connection = server.ask()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(b"GET /live.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1500)
    until(lambda: resets(connection))
    assert ask(server, "/v2", None)[0] == 200


def resets(connection: socket.socket) -> bool:
    """Whether the other side has hung up, without reading what it sent."""
    try:
        connection.sendall(b"\r\n")
    except OSError:
        return True
    return False


def test_connections_are_limited_for_one_client_and_for_all(serve: Serve) -> None:
    server = serve({"client_connections": 3})
    held = [server.ask() for _ in range(3)]
    assert closed(server.ask()) == b""
    for one in held:
        one.close()
    until(lambda: ask(server, "/v2", None)[0] == 200)


def test_streams_are_limited_and_freed_when_clients_go(serve: Serve) -> None:
    server = serve({"streams": 2}, "--scene", "well")
    request = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    held = []
    for _ in range(2):
        held.append(server.ask())
        held[-1].sendall(request)
        assert held[-1].recv(100).startswith(b"HTTP/1.1 200 ")
    assert ask(server, "/events", None)[0] == 503
    for one in held:
        one.close()

    def streams() -> bool:
        connection = server.ask()
        connection.sendall(request)
        return connection.recv(100).startswith(b"HTTP/1.1 200 ")

    until(streams)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1e3\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v2/models/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
        b"GET /v2/models/%ff%fe%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_broken_requests_do_not_harm(serve: Serve, request_bytes: bytes) -> None:
    server = serve({"headers_s": 1.0, "idle_s": 1.0})
    connection = server.ask()
    connection.sendall(request_bytes)
    answer = closed(connection)
    assert not answer.startswith((b"HTTP/1.1 5", b"HTTP/1.1 2")), answer
    assert ask(server, "/v2", None)[0] == 200
    status, said = server.end()
    assert status == 0
    assert "Traceback" not in said
