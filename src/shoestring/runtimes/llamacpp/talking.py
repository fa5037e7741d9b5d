"""HTTP over a socket of this machine: one request, and the events of its answer."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

from shoestring.base.errors import EngineFaultError

MAX_LINE_BYTES = 16 * 1024**2
"""Of one event, or of an answer that is no stream: a vector of 16,384 numbers for each of 64 texts takes 12 MB."""


class LocalConnection(http.client.HTTPConnection):
    """A connection to a socket file.

    Args:
        address: path of the socket.
        timeout: seconds for each wait.
    """

    def __init__(self, address: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._address = address

    def connect(self) -> None:
        """See `HTTPConnection.connect`."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._address)


def post(address: str, path: str, body: Any, timeout_s: float) -> tuple[LocalConnection, http.client.HTTPResponse]:
    """Send a request and wait for the head of its answer.

    Raises:
        OSError, http.client.HTTPException: the other side is gone, or silent for `timeout_s`.
    """
    connection = LocalConnection(address, timeout_s)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return connection, connection.getresponse()
    except BaseException:
        connection.close()
        raise


def get(address: str, path: str, timeout_s: float, who: str) -> Any:
    """What is at a path. Raises OSError and http.client.HTTPException as `post`, and EngineFaultError as `whole`."""
    connection = LocalConnection(address, timeout_s)
    try:
        connection.request("GET", path)
        return whole(connection.getresponse(), who)
    finally:
        connection.close()


def whole(response: http.client.HTTPResponse, who: str) -> Any:
    """An answer that is one JSON value. Raises EngineFaultError when it is none, or too long."""
    data = response.read(MAX_LINE_BYTES + 1)
    if len(data) > MAX_LINE_BYTES:
        raise EngineFaultError(f"{who} answered more than the limit of {MAX_LINE_BYTES:,} bytes", "flood")
    return _parsed(data, who)


def next_event(response: http.client.HTTPResponse, who: str) -> dict[str, Any] | None:
    """The next event of a stream (the format of https://html.spec.whatwg.org/multipage/server-sent-events.html).

    Returns:
        Its data; None at the end of the stream, by its own word or because the other side is gone.

    Raises:
        EngineFaultError: no JSON object, or too long a line.
        OSError, http.client.HTTPException: the other side is gone, or silent.
    """
    while line := response.readline(MAX_LINE_BYTES):
        if len(line) >= MAX_LINE_BYTES:
            raise EngineFaultError(f"{who} answered a line of more than {MAX_LINE_BYTES:,} bytes", "flood")
        name, _, data = line.strip().partition(b":")
        if name == b"error":
            return {"error": _parsed(data, who)}
        if name != b"data":  # comments keep a connection awake
            continue
        if data.strip() == b"[DONE]":
            return None
        event = _parsed(data, who)
        if not isinstance(event, dict):
            raise EngineFaultError(f"{who} answered {data[:80]!r}, no event", "shape")
        return event
    return None


def _parsed(data: bytes, who: str) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise EngineFaultError(f"{who} answered {data[:80]!r}, no JSON", "shape") from error


__all__ = ["MAX_LINE_BYTES", "LocalConnection", "get", "next_event", "post", "whole"]
