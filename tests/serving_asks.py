"""What tests of the server ask it, and how they wait for what follows."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serving import SIDE, Server

Serve = Callable[..., Server]
BODY = json.dumps(
    {"inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [1, SIDE, SIDE, 3], "data": [7] * (SIDE * SIDE * 3)}]}
).encode()


def ask(server: Server, path: str = "/v2/models/tiny/infer", body: bytes | None = BODY, **headers: str) -> Any:
    """Status, headers and JSON of one request over a connection of its own."""
    connection = http.client.HTTPConnection(server.address, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET" if body is None else "POST", path, body, named)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    json_body = json.loads(data) if answer.getheader("content-type") == "application/json" else data
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, json_body


def metric(server: Server, name: str) -> float:
    text = ask(server, "/metrics", None)[2].decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def all_of(server: Server, count: int, **headers: str) -> list[int]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: ask(server, **headers)[0], range(count)))


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something to become true; a connection that is refused or cut off is not yet so."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if true():
                return
        assert time.monotonic() < deadline, "never true"
        time.sleep(0.02)


def closed(connection: socket.socket) -> bytes:
    """What still comes until the other side hangs up."""
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found
