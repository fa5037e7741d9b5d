"""The web as a source: what a server may answer, and how long it may take for it."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import time
from typing import TYPE_CHECKING

import pytest

from scripted_server import header, path_of, serving, whole
from shoestring.base.errors import DataError, RepositoryError, UnreachableError, UsageError
from shoestring.trust.repository import http
from shoestring.trust.repository.source import open_source, read_small

if TYPE_CHECKING:
    import socket
    from pathlib import Path

PATH = "metadata/timestamp.json"


def read(address: str, path: str = PATH, limit: int = 1_000, ca: Path | None = None) -> bytes | None:
    """As a refresh does."""
    return read_small(open_source(address, ca), path, limit)


def answered(*parts: bytes) -> bytes | None:
    """What a server that sends these bytes and then closes comes to."""

    def script(connection: socket.socket, head: str) -> None:
        for part in parts:
            connection.sendall(part)

    with serving(script) as (address, _):
        return read(address)


def test_a_file_below_the_address_asked_plainly() -> None:
    def script(connection: socket.socket, head: str) -> None:
        connection.sendall(whole("200 OK", b"it"))

    with serving(script) as (address, heads):
        assert read(f"{address}/fleet/", "metadata/1.a b.json") == b"it"
    assert path_of(heads[0]) == "/fleet/metadata/1.a%20b.json"
    assert header(heads[0], "Accept-Encoding") == "identity"
    assert header(heads[0], "Range") is None
    assert header(heads[0], "User-Agent") == "shoestring", "no version, no device: nothing that tells who asks"


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "410 Gone"])
def test_a_file_that_is_not_there(status: str) -> None:
    assert answered(whole(status, b"no")) is None


@pytest.mark.parametrize("status", ["408 x", "425 x", "429 x", "500 x", "502 x", "503 x", "599 x"])
def test_not_now(status: str) -> None:
    with pytest.raises(UnreachableError, match=status[:3]):
        answered(whole(status, b""))


@pytest.mark.parametrize("status", ["301 x", "302 x", "307 x", "308 x", "304 x"])
def test_a_redirect_is_not_followed(status: str) -> None:
    """It would send the device's requests wherever a mirror likes, into its owner's own network too."""
    with serving(lambda connection, head: connection.sendall(whole("200 OK", b"inside"))) as (inside, heads):
        with pytest.raises(RepositoryError, match="not followed"):
            answered(whole(status, b"", f"Location: {inside}/router/reboot"))
        assert heads == []


@pytest.mark.parametrize(
    "head",
    ["HTTP/1.1 401 x", "HTTP/1.1 204 No Content", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip", "HTTP/1.1 206 x"],
)
def test_what_no_server_of_static_files_answers(head: str) -> None:
    with pytest.raises(RepositoryError):
        answered(head.encode() + b"\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "parts",
    [
        (b"",),
        (b"HTTP/1.1 200",),
        (b"SSH-2.0-OpenSSH\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,),
    ],
    ids=["nothing", "half a line", "no web", "short", "chunk cut", "chunk of nonsense", "many heads", "long head"],
)
def test_an_answer_that_breaks_off_or_is_none(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(UnreachableError):
        answered(*parts)


def test_chunks_and_a_server_that_tells_no_length() -> None:
    assert answered(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nit\r\n0\r\n\r\n") == b"it"
    with pytest.raises(UnreachableError, match="how long"):
        answered(b"HTTP/1.0 200 OK\r\n\r\nit")


def test_an_answer_without_an_end() -> None:
    def script(connection: socket.socket, head: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"1f4\r\n" + b"x" * 500 + b"\r\n")

    with serving(script) as (address, _), pytest.raises(RepositoryError, match="longer than 1000") as told:
        read(address)
    assert told.value.rule == "length"


@pytest.mark.parametrize("drip", ["head", "interim", "body", "silence"])
def test_a_server_that_keeps_one_waiting(drip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then is within every limit of one read, and so the whole has a limit of its own."""
    monkeypatch.setattr(http, "METADATA_SECONDS", 0.4)
    start = {
        "head": b"HTTP/1.1 200 OK\r\nX: ",
        "interim": b"",
        "body": b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n",
        "silence": b"",
    }
    more = {"head": b"y", "interim": b"HTTP/1.1 100 Continue\r\n\r\n", "body": b"z", "silence": b""}

    def script(connection: socket.socket, head: str) -> None:
        connection.sendall(start[drip])
        while True:
            connection.sendall(more[drip])
            time.sleep(0.01)

    with serving(script) as (address, _), pytest.raises(UnreachableError):
        read(address, limit=1_000_000)


def test_nobody_listens() -> None:
    with serving(lambda connection, head: None) as (address, _):
        pass
    with pytest.raises(UnreachableError):
        read(address)
    with pytest.raises(UnreachableError):
        read("http://nobody.invalid")


def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert answered(whole("200 OK", b"it")) == b"it"


@pytest.mark.parametrize(
    "address",
    [
        "http://",
        "http://user@host",
        "http://host/?a=1",
        "http://host#x",
        "http://host:port",
        "ftp://host",
        "file:///etc",
    ],
)
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(UsageError):
        open_source(address)


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "ca.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


def test_tls_is_verified(tmp_path: Path) -> None:
    ca, context = _certificate(tmp_path)
    with serving(lambda connection, head: connection.sendall(whole("200 OK", b"it")), context) as (address, heads):
        assert read(address, ca=ca) == b"it"
        with pytest.raises(UnreachableError, match="certificate"):
            read(address)
        with pytest.raises(UnreachableError, match="certificate"):
            read(address.replace("127.0.0.1", "localhost"), ca=ca)
        assert len(heads) == 1
    with pytest.raises(DataError, match="certificates"):
        open_source("https://host", tmp_path / "none.pem")
