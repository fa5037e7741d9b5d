"""No secret that we are given comes out again: not in words, errors, journals, figures, pages or logs of libraries."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from null_bundles import make_null_bundle
from shoestring.base.addresses import without_password
from shoestring.cli.main import main
from shoestring.trust import age

MARK = "gEhEiM"  # stands in every secret of these tests
WORD = f"{MARK}wort"
START_S = 60.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "null.shoe"
    make_null_bundle(path)
    return path


ADDRESSES = [
    f"rtsp://me:{WORD}@cam.local/live",
    f"rtsp://me:{WORD}/x@cam.local:554/live",
    f"rtsp://me:{WORD}?x@cam.local/live",
    f"rtsp://me:{WORD}#x@cam.local/live",
    f"rtsp://me:x@{WORD}@cam.local/live",
    f"rtsp://me:[{WORD}@cam.local/live",
    f"rtsp://cam.local/live?user=me&password={WORD}",
    f"rtsp://cam.local/user=me_password={WORD}_channel=1",
    f"rtsp://cam.local/live;password={WORD}",
    f"rtsp://cam.local/live#{WORD}",
    f"rtsp:/me:{WORD}@cam.local/live",
    f"rtsp//me:{WORD}@cam.local",
    f"mqtt:me:{WORD}@home",
    f"postgresql://me:{WORD}@db:5432/reports?sslmode=require",
]


FLEET = [
    f"https://me:{WORD}@fleet.invalid/reports",
    f"https://me:{WORD}/x@fleet.invalid/reports",
    f"https://fleet.invalid/?token={WORD}#{WORD}",
    f"postgresql://me:{WORD}@127.0.0.1:1/x",
    f"postgresql://me:[{WORD}@127.0.0.1:1/x",
    f"postgres://127.0.0.1:1/x?user=me&password={WORD}",
    f"postgres://me:{WORD}#x@127.0.0.1:1/x",
    f"postgresql:me:{WORD}@127.0.0.1",
    f"mqtts://me:{WORD}@127.0.0.1:1",
]


@pytest.mark.parametrize("address", [*ADDRESSES, *FLEET])
def test_an_address_is_shown_without_its_secret(address: str) -> None:
    assert MARK not in without_password(address)


@pytest.mark.parametrize("plain", ["rtsp://cam.local:554/live", "/photos/cat@home.jpg", "photo.jpg", "mqtt://home"])
def test_an_address_without_one_stays_as_it_is(plain: str) -> None:
    assert without_password(plain) == plain


def _by_the_rules(address: str) -> str:
    """A saboteur: takes an address apart as RFC 3986 has it, which passwords that people choose do not keep."""
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def test_the_addresses_catch_who_keeps_to_the_rules() -> None:
    shown = []
    for address in ADDRESSES:
        try:
            shown.append(_by_the_rules(address))
        except ValueError:
            continue
    assert sum(MARK in one for one in shown) >= 5


def leaks(text: str | bytes) -> list[str]:
    """Lines of a text that hold a secret, as it is or in the forms that programs write it in."""
    plain = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return [line[:200] for line in plain.splitlines() if re.search(MARK, line, re.I)]


def test_the_search_finds_a_leak() -> None:
    assert leaks(f"a\nconnecting to rtsp://me:{WORD}@cam\nb") and leaks(WORD.lower()) and not leaks("all is well")


def wrong_words(bundle: Path, folder: Path) -> Iterator[tuple[list[object], dict[str, str]]]:
    """Commands that fail, with a secret in each, and their environment."""
    (folder / "password").write_bytes(WORD.encode() + b"\xff\n")
    (folder / "tokens").write_text(f"me {WORD}\n")
    (folder / "key.pem").write_text(f"-----BEGIN PRIVATE KEY-----\n{WORD}\n-----END PRIVATE KEY-----\n")
    (folder / "identity").write_text(f"AGE-SECRET-KEY-1{WORD}\n")
    (folder / "identity").chmod(0o600)
    image = folder / "none.png"
    for address in ADDRESSES:
        yield ["run", bundle, address, "--mqtt", "mqtt://a:b@c"], {}
        yield ["run", bundle, image, "--mqtt", address], {}
        yield ["run", bundle, address, image], {}
        yield ["serve", bundle, "--source", address, image], {}
    for address in (*ADDRESSES, *FLEET):
        agent = ["agent", "--slots", folder / "slots", "--root", folder / "key.pem", "--group", "g", "--once"]
        yield [*agent, "--repository", address], {}
        yield [*agent, "--repository", folder, "--report", address], {}
        yield ["fleet", "collect", "--db", address, "--host", "nowhere.invalid"], {}
        yield ["fleet", "collect", "--db", folder / "f.sqlite", "--mqtt", address, "--host", "nowhere.invalid"], {}
    yield ["verify", bundle, "--public-key", folder / "key.pem"], {}
    yield ["sign", bundle, "--key", folder / "key.pem"], {"SHOESTRING_PASSPHRASE": WORD}
    yield ["keygen", "-o", folder / "key.pem"], {"SHOESTRING_PASSPHRASE": WORD}
    yield ["run", bundle, image, "--mqtt", "mqtt://home"], {"SHOESTRING_MQTT_PASSWORD": WORD}
    yield ["run", bundle, image, "--mqtt", "mqtt://me@home", "--mqtt-password", folder / "password"], {}
    yield ["serve", bundle, "--tokens", folder / "tokens"], {}
    yield ["serve", bundle, "--host", "nowhere.invalid"], {"SHOESTRING_TOKEN": WORD}
    yield ["serve", bundle, "--host", "0.0.0.0"], {"SHOESTRING_TOKEN": WORD * 5}
    yield ["serve", bundle, "--certificate", folder / "key.pem", "--key", folder / "key.pem"], {}
    yield ["decrypt", bundle, "--identity", folder / "identity", "-o", folder / "b.shoe"], {}
    yield ["encrypt", bundle, "--to", folder / "identity", "-o", folder / "b.age"], {}


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["words", "json"])
def test_errors_do_not_quote_secrets(
    flags: tuple[str, ...],
    bundle: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = 0
    for words, environment in islice(wrong_words(bundle, tmp_path), 0, None, 4 if flags else 1):
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            code = main([*map(str, words), *flags])
        said = capfd.readouterr()
        assert code != 0, words
        assert leaks(said.out + said.err) == [], words
        tried += 1
    assert tried > (30 if flags else 120)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def fetch(url: str, token: str | None) -> bytes:
    request = urllib.request.Request(url, headers={} if token is None else {"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            head: bytes = bytes(answer.headers)
            return head + (answer.read(4096) if url.endswith("/events") else answer.read())
    except urllib.error.HTTPError as error:
        return bytes(error.headers) + error.read()


def test_a_server_tells_none_of_its_secrets(bundle: Path, tmp_path: Path) -> None:
    """Token, broker's password and camera's password in one server; neither camera nor broker is there, so that the
    libraries below complain as loudly as they can."""
    pytest.importorskip("cv2")
    pytest.importorskip("paho.mqtt.client")
    token = MARK + secrets.token_urlsafe(32)
    (tmp_path / "password").write_text(f"{WORD}\n")
    port, journal = free_port(), tmp_path / "decisions.jsonl"
    source = f"rtsp://me:{WORD}@127.0.0.1:{free_port()}/live?password={WORD}"
    words = ["serve", bundle, "--port", port, "--source", source, "--decisions", journal]
    words += ["--mqtt", f"mqtt://me@127.0.0.1:{free_port()}", "--mqtt-password", tmp_path / "password"]
    environment = {
        **os.environ,
        "SHOESTRING_TOKEN": token,
        "SHOESTRING_CACHE": str(tmp_path / "cache"),
        "OPENCV_LOG_LEVEL": "DEBUG",
        "OPENCV_VIDEOIO_DEBUG": "1",
        "OPENCV_FFMPEG_DEBUG": "1",
    }
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as one, err.open("wb") as two:
        process = subprocess.Popen(
            [str(word) for word in (sys.executable, "-m", "shoestring.cli.main", *words)],
            stdout=one,
            stderr=two,
            env=environment,
            cwd=tmp_path,
        )
        try:
            begun = time.monotonic()
            while b"page is at" not in err.read_bytes():
                assert process.poll() is None and time.monotonic() - begun < START_S, err.read_text()
                time.sleep(0.05)
            pages = (
                "/",
                "/metrics",
                "/docs",
                "/state",
                "/events",
                "/v2",
                "/v2/health/ready",
                "/v2/models/x",
                "/nowhere",
            )
            for page in (*pages, f"/{WORD[:3]}"):
                url = f"http://127.0.0.1:{port}{page}"
                for given in (token, None, "x" * 43):
                    assert leaks(fetch(url, given)) == [], page
            assert b"shoestring_" in fetch(f"http://127.0.0.1:{port}/metrics", token)
            assert b"127.0.0.1" in fetch(f"http://127.0.0.1:{port}/events", token)  # the source, as far as it is shown
            deadline = time.monotonic() + 20
            while b"does not answer" not in fetch(f"http://127.0.0.1:{port}/events", token):
                if time.monotonic() > deadline:
                    break  # the library may take longer to give up than we wait; what it said is looked at all the same
                time.sleep(0.2)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "password"]
    assert journal in written
    found = {path.name: leaks(path.read_bytes()) for path in written}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_new_token_is_shown_once_and_its_line_does_not_tell_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--new-token", "me", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["token"] not in told["line"]


def test_a_device_key_does_not_come_out_of_any_verb(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "device.key"
    assert main(["device-key", "-o", str(key)]) == 0
    recipient = capfd.readouterr().out.strip()
    secret = key.read_text().splitlines()[1]
    assert secret.startswith("AGE-SECRET-KEY-1") and age.load_identity(key).recipient == recipient
    assert main(["encrypt", str(bundle), "--to", str(key), "-o", str(tmp_path / "x")]) == 2
    assert main(["encrypt", str(bundle), "--to", recipient, "-o", str(tmp_path / "x")]) == 0
    assert main(["decrypt", str(tmp_path / "x"), "--identity", str(key), "-o", str(tmp_path / "b")]) == 0
    said = capfd.readouterr()
    assert secret[16:] not in said.out + said.err
    assert secret[16:].encode() not in (tmp_path / "x").read_bytes()
