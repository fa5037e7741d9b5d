"""The server under overload, signals and the wrong people: a real process on a real socket."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest

from serving_asks import BODY, Serve, all_of, ask, closed, metric, until
from shoestring.device.serve.tokens import make_token

# --- too much --------------------------------------------------------------------------------------------------------


def test_a_large_body_is_refused_before_it_is_read(serve: Serve) -> None:
    server = serve({"body_bytes": 10_000})
    connection = server.ask()
    connection.sendall(b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")
    assert closed(connection).startswith(b"HTTP/1.1 413 ")
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    connection = server.ask()
    connection.sendall(
        b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + 3 * chunk
    )
    assert closed(connection).startswith(b"HTTP/1.1 413 ")
    assert ask(server)[0] == 200


def test_all_bodies_together_have_a_limit_and_give_it_back(serve: Serve) -> None:
    server = serve({"bodies_bytes": 20_000, "body_bytes": 15_000})
    head = b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14000\r\n\r\n"
    held = server.ask()
    held.sendall(head + b" " * 13_000)
    time.sleep(0.3)
    other = server.ask()
    other.sendall(head + b" " * 13_000)
    assert closed(other).startswith(b"HTTP/1.1 503 ")
    held.sendall(b" " * 1000)
    assert held.recv(65536).startswith(b"HTTP/1.1 400 ")
    for _ in range(20):
        assert ask(server, body=b" " * 14_000)[0] == 400
    assert ask(server)[0] == 200


def test_overload_drops_the_oldest_and_says_so(serve: Serve) -> None:
    server = serve({"queue": 2}, "--seconds", "0.3")
    statuses = all_of(server, 8)
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 3  # one with the engine, two in the queue; more where threads were late
    assert metric(server, 'shoestring_requests_dropped_total{reason="oldest"}') == statuses.count(503)
    assert ask(server)[0] == 200


def test_no_answer_within_the_deadline_is_told(serve: Serve) -> None:
    server = serve({"deadline_s": 0.2}, "--seconds", "1.0")
    assert all_of(server, 3) == [504, 504, 504]
    soon = json.loads(BODY) | {"parameters": {"timeout": 50_000}}
    patient = serve({"deadline_s": 30.0}, "--seconds", "0.5")
    assert ask(patient, body=json.dumps(soon).encode())[0] == 504
    assert ask(patient)[0] == 200


def test_requests_of_clients_that_went_away_are_not_worked_on(serve: Serve) -> None:
    server = serve({}, "--seconds", "1.5")
    head = b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    first, second = server.ask(), server.ask()
    first.sendall(head + BODY)
    until(lambda: metric(server, "shoestring_requests_total") > 0)
    second.sendall(head + BODY)
    until(lambda: metric(server, "shoestring_queue_length") == 1)
    second.close()
    assert first.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert ask(server)[0] == 200
    assert metric(server, 'shoestring_requests_dropped_total{reason="gone"}') == 1


def test_a_client_above_its_rate_is_told_when_to_come_back(serve: Serve) -> None:
    server = serve({"client_rate": 0.1})
    answers = [ask(server, "/v2/health/live", None) for _ in range(12)]
    assert [status for status, _, _ in answers[:10]] == [200] * 10
    status, headers, body = answers[-1]
    assert (status, list(body)) == (429, ["error"])
    assert 1 <= int(headers["retry-after"]) <= 10


def test_a_failing_engine_is_503_and_is_shown(serve: Serve) -> None:
    server = serve({}, "--every", "2")
    assert [ask(server)[0] for _ in range(4)] == [200, 503, 200, 503]
    state = ask(server, "/v1/state", None)[2]
    assert [one["what"] for one in state["troubles"]] == ["engine"]
    assert metric(server, 'shoestring_engine_failures_total{kind="crashed"}') == 2
    assert ask(server)[0] == 200
    assert ask(server, "/v1/state", None)[2]["troubles"] == []


# --- who may ---------------------------------------------------------------------------------------------------------


def test_without_a_token_only_what_shows_nothing_is_answered(serve: Serve) -> None:
    token, line = make_token("phone")
    server = serve({"tokens": [line.split()]}, "--scene", "requests")
    shown = {path: ask(server, path, None)[0] for path in ("/", "/live.js", "/live.css", "/docs", "/openapi.json")}
    assert set(shown.values()) == {200}
    hidden = ("/v1/state", "/events", "/picture.jpg", "/picture.mjpeg", "/metrics", "/v2", "/v2/models/tiny")
    for path in hidden:
        status, headers, _ = ask(server, path, None)
        assert (path, status, headers["www-authenticate"][:6]) == (path, 401, "Bearer")
    assert ask(server)[0] == 401
    assert ask(server, Authorization=f"Bearer {token}")[0] == 200
    assert ask(server, "/metrics", None, Authorization=f"Bearer {token}")[0] == 200


def test_foreign_names_and_pages_are_refused(serve: Serve) -> None:
    server = serve()
    assert ask(server, "/v2", None, Host="evil.example")[0] == 421
    assert ask(server, Origin="http://evil.example")[0] == 403
    assert ask(server, "/v2", None, Host="localhost")[0] == 200


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def test_tls_with_a_token_on_every_address(serve: Serve, pem: tuple[Path, Path]) -> None:
    token, line = make_token("phone")
    server = serve({"host": "0.0.0.0", "certificate": str(pem[0]), "key": str(pem[1]), "tokens": [line.split()]})
    context = ssl.create_default_context(cafile=str(pem[0]))
    for authorization, wanted in ((f"Bearer {token}", 200), ("Bearer x", 401)):
        connection = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=30)
        connection.request("GET", "/v2", headers={"Authorization": authorization})
        assert connection.getresponse().status == wanted
        connection.close()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("localhost", server.port), 30) as plain, pytest.raises((ssl.SSLError, OSError)):
        old.wrap_socket(plain)


def test_a_handshake_that_never_comes_is_not_waited_for(serve: Serve, pem: tuple[Path, Path]) -> None:
    server = serve({"certificate": str(pem[0]), "key": str(pem[1]), "headers_s": 0.5})
    assert closed(server.ask()) == b""


def test_a_server_open_to_others_says_so_loudly_or_does_not_start(serve: Serve, pem: tuple[Path, Path]) -> None:
    with pytest.raises(RuntimeError, match="open to others"):
        serve({"host": "0.0.0.0"})
    server = serve({"host": "0.0.0.0", "insecure": True})
    assert ask(server, "/v2", None)[0] == 200
    said = server.end()[1]
    assert said.count("INSECURE") == 2
    with pytest.raises(RuntimeError, match="not a certificate and its key"):
        serve({"certificate": str(pem[1]), "key": str(pem[0])})


def test_a_port_that_is_taken_is_an_error_in_words(serve: Serve) -> None:
    server = serve()
    with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1 port {server.port}"):
        serve({"port": server.port})


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_drain_finishes_what_is_under_way_and_takes_nothing_new(serve: Serve, sign: int) -> None:
    server = serve({"queue": 8}, "--seconds", "1.0")
    keep = http.client.HTTPConnection(server.address, timeout=60)
    keep.request("GET", "/v2/health/ready")
    assert keep.getresponse().read() == b'{"ready":true,"live":true}'
    under_way: list[int] = []
    threads = [threading.Thread(target=lambda: under_way.append(ask(server)[0])) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: metric(server, "shoestring_queue_length") == 2)
    server.process.send_signal(sign)

    def told() -> bool:
        keep.request("GET", "/v2/health/ready")
        answer = keep.getresponse()
        return (answer.status, answer.read()) == (503, b'{"ready":false,"live":true}')

    until(told)
    assert ask(server)[0] == 503  # connections are still taken, so that it is told
    for thread in threads:
        thread.join(60)
    assert under_way == [200, 200, 200]
    status, said = server.end()
    assert status == 0
    assert "ending" in said
    assert "Traceback" not in said


def test_streams_end_with_the_server(serve: Serve) -> None:
    server = serve({}, "--scene", "well")
    connection = server.ask()
    connection.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    server.process.send_signal(signal.SIGTERM)
    assert b"event: end" in closed(connection)
    assert server.end()[0] == 0


def test_an_engine_that_hangs_does_not_hold_up_the_end(serve: Serve) -> None:
    server = serve({"drain_s": 0.5}, "--seconds", "1000")
    connection = server.ask()
    head = b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    connection.sendall(head + BODY)
    until(lambda: metric(server, "shoestring_requests_total") > 0)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
