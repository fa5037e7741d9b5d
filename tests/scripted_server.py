"""A web server on loopback that answers each request as a script says: raw bytes, as slowly or wrongly as it likes."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

Script = Callable[["socket.socket", str], None] if TYPE_CHECKING else object


@contextlib.contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """A server; yields its address and the heads of the requests so far. Each connection is closed after its script."""
    heads: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = []

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65536)
                if not piece:
                    return
                head += piece
            heads.append(head.decode("latin-1"))
            script(connection, heads[-1])
            if tls is not None:
                connection.close()

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            ends.append(connection)
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    scheme = "http" if tls is None else "https"
    try:
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", heads
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def whole(status: str, body: bytes, *more: str) -> bytes:
    """An answer in good order."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join([*lines, "", ""]).encode() + body


def header(head: str, name: str) -> str | None:
    """A line of a request's head."""
    for line in head.split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name.lower():
            return value.strip()
    return None


def path_of(head: str) -> str:
    """What was asked for."""
    return head.split(" ")[1]


def ranged(connection: socket.socket, head: str, data: bytes, mark: str, stop: int | None = None) -> None:
    """Serve a file as a good server does, ranges and marks included; `stop`: break off after that many bytes."""
    asked, condition = header(head, "Range"), header(head, "If-Range")
    start = 0
    if asked is not None and condition in (None, mark):
        start = int(asked.removeprefix("bytes=").rstrip("-"))
    body, lines = data[start:], [f"ETag: {mark}"]
    if start:
        lines.append(f"Content-Range: bytes {start}-{len(data) - 1}/{len(data)}")
    answer = whole("206 Partial Content" if start else "200 OK", body, *lines)
    connection.sendall(answer if stop is None else answer[: len(answer) - len(body) + stop])
