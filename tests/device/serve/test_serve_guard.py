"""Who is let in: names, origins, tokens, rates; and when the server may be open to others at all."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from pathlib import Path

import pytest

from shoestring.base.errors import StorageError, UsageError
from shoestring.device.serve import guard as guard_module
from shoestring.device.serve import rates
from shoestring.device.serve.guard import Guard
from shoestring.device.serve.http import Refusal, Request, Room
from shoestring.device.serve.rates import Rates
from shoestring.device.serve.settings import Settings, check_settings, is_loopback
from shoestring.device.serve.tokens import VARIABLE, Token, make_token, read_tokens, who

SECRET = "s" * 43
TOKENS = (
    Token("phone", hashlib.sha256(b"p" * 43).hexdigest()),
    Token("desk", hashlib.sha256(SECRET.encode()).hexdigest()),
)


async def never() -> dict[str, object]:
    raise AssertionError("the head alone decides")


def ask(client: str = "127.0.0.1", **headers: str) -> Request:
    held = {"host": "localhost:8400", **headers}
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in held.items() if value != "none"]
    return Request({"method": "POST", "path": "/", "headers": pairs, "client": (client, 5)}, never, 0.0, Room(1))


def status(guard: Guard, request: Request, *, open_to_all: bool = False) -> int:
    try:
        guard.admit(request, open_to_all=open_to_all)
    except Refusal as refused:
        return refused.status
    return 200


def make(**settings: object) -> Guard:
    return Guard(Settings(**settings), lambda: 0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("localhost:8400", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:8400", 200),
        ("192.168.1.20", 200),
        ("[::1]:8400", 200),
        ("camera.lan:8400", 200),
        ("evil.example:8400", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
        ("none", 400),
    ],
)
def test_only_known_names_are_answered(host: str, wanted: int) -> None:
    assert status(make(names=("camera.lan",)), ask(host=host)) == wanted


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        ("http://localhost:8400", 200),
        ("https://localhost:8400", 200),
        ("none", 200),
        ("http://localhost:9999", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_pages_of_other_sites_may_not_ask(origin: str, wanted: int) -> None:
    assert status(make(), ask(origin=origin)) == wanted


@pytest.mark.parametrize(
    ("authorization", "name"),
    [
        (f"Bearer {SECRET}", "desk"),
        (f"bearer  {SECRET} ", "desk"),
        ("Bearer " + "p" * 43, "phone"),
        (f"Basic {SECRET}", None),
        (f"Bearer {SECRET[:-1]}", None),
        (f"Bearer {SECRET}x", None),
        ("Bearer", None),
        (SECRET, None),
        (f"Bearer {TOKENS[1].sha256}", None),
        ("none", None),
    ],
)
def test_a_token_is_known_by_its_hash_alone(authorization: str, name: str | None) -> None:
    request = ask(authorization=authorization)
    assert who(TOKENS, request.headers.get(b"authorization")) == name
    guard = make(tokens=TOKENS)
    assert status(guard, request) == (200 if name else 401)
    assert status(guard, request, open_to_all=True) == 200
    assert guard.refused["token"] == (0 if name else 1)


def test_every_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(a) or real(a, b))
    for presented in (SECRET, "p" * 43, "x"):
        compared.clear()
        who(TOKENS, f"Bearer {presented}".encode())
        assert compared == [token.sha256.encode() for token in TOKENS]


def test_a_made_token_goes_through_the_file(tmp_path: Path) -> None:
    token, line = make_token("my-phone")
    other, second = make_token("other")
    path = tmp_path / "tokens"
    path.write_text(f"# who may ask\n{line}\n\n{second}  # the other one\n")
    tokens = read_tokens(path, {})
    assert [one.name for one in tokens] == ["my-phone", "other"]
    assert who(tokens, b"Bearer " + token.encode()) == "my-phone"
    assert who(tokens, b"Bearer " + other.encode()) == "other"
    assert token not in path.read_text()
    assert who(read_tokens(None, {VARIABLE: token}), b"Bearer " + token.encode()) == "environment"
    assert read_tokens(None, {}) == ()


def test_unsound_tokens_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    for text, words in (
        ("phone secret\n", "line 1"),
        (f"a b {'0' * 64}\n", "line 1"),
        (f"a {'0' * 64}\na {'1' * 64}\n", "twice"),
        (f"a {'G' * 64}\n", "line 1"),
        ("x" * 100_000, "more than"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=words):
            read_tokens(path, {})
    with pytest.raises(StorageError):
        read_tokens(tmp_path / "none", {})
    with pytest.raises(UsageError, match="5 characters"):
        read_tokens(None, {VARIABLE: "short"})
    with pytest.raises(UsageError):
        make_token("two words")


# --- rates -----------------------------------------------------------------------------------------------------------


def passed(made: Rates, now: list[float], address: str, seconds: float, asks: int) -> int:
    """How many of `asks`, spread evenly over so many seconds, got through."""
    count = 0
    for _ in range(asks):
        count += made.take(address) == 0
        now[0] += seconds / asks
    return count


def test_a_client_gets_its_rate_and_a_burst() -> None:
    now = [0.0]
    made = Rates(20.0, 1000.0, lambda: now[0])
    assert passed(made, now, "10.0.0.1", 10.0, 2000) in range(238, 243)  # 20 a second, and 40 at once
    assert passed(made, now, "10.0.0.2", 1.0, 30) == 30
    wait = 0.0
    while wait == 0:
        wait = made.take("10.0.0.3")
    now[0] += wait + 1e-9
    assert made.take("10.0.0.3") == 0


def test_all_clients_together_have_a_rate_too() -> None:
    now = [0.0]
    made = Rates(20.0, 50.0, lambda: now[0])
    count = 0
    for step in range(4000):
        count += made.take(f"10.0.{step % 16}.1") == 0
        now[0] += 10.0 / 4000
    assert count in range(598, 603)  # 50 a second, and 100 at once


def test_a_flood_from_one_client_takes_nothing_from_another() -> None:
    now = [0.0]
    made = Rates(10.0, 100.0, lambda: now[0])
    passed(made, now, "10.0.0.1", 1.0, 100_000)
    assert passed(made, now, "10.0.0.2", 1.0, 10) == 10


def test_a_household_with_many_addresses_is_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    def flood() -> int:
        now = [0.0]
        made = Rates(5.0, 1e6, lambda: now[0])
        return sum(made.take(f"2001:db8:1:2::{number:x}") == 0 for number in range(1, 200))

    assert flood() == 10
    assert rates.network("::ffff:10.0.0.1") == "10.0.0.1"
    monkeypatch.setattr(rates, "network", lambda address: address)  # the saboteur: each address is somebody else
    assert flood() == 199


def test_the_memory_of_clients_is_bounded() -> None:
    made = Rates(1.0, 1e9, lambda: 0.0)
    for number in range(3 * rates.CLIENTS):
        made.take(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(made._clients) == rates.CLIENTS


def test_too_many_requests_are_told_when_to_come_back() -> None:
    guard = make(client_rate=0.5)
    for _ in range(10):
        guard.admit(ask(), open_to_all=True)
    with pytest.raises(Refusal) as refused:
        guard.admit(ask(), open_to_all=True)
    assert refused.value.status == 429
    assert (b"retry-after", b"2") in refused.value.headers
    assert guard.refused["rate"] == 1


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "[::1]", "localhost"])
def test_loopback_needs_nothing(host: str) -> None:
    assert is_loopback(host)
    assert check_settings(Settings(host=host)) == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.20", "camera.lan", "localhost.evil.example"])
def test_any_other_host_needs_tokens_and_tls(host: str, tmp_path: Path) -> None:
    pem = tmp_path / "x.pem"
    pem.write_text("x")
    assert not is_loopback(host)
    open_to_others = Settings(host=host)
    with_tokens = replace(open_to_others, tokens=TOKENS)
    with_tls = replace(open_to_others, certificate=pem, key=pem)
    for settings, lacks in ((open_to_others, 2), (with_tokens, 1), (with_tls, 1)):
        with pytest.raises(UsageError, match="open to others"):
            check_settings(settings)
        assert len(check_settings(replace(settings, insecure=True))) == lacks
    assert check_settings(replace(with_tls, tokens=TOKENS)) == ()


@pytest.mark.parametrize(
    "broken",
    [
        {"port": -1},
        {"port": 70_000},
        {"queue": 0},
        {"client_rate": 0.0},
        {"deadline_s": float("nan")},
        {"body_bytes": -5},
        {"drain_s": float("inf")},
    ],
)
def test_limits_that_make_no_sense_are_refused(broken: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        check_settings(Settings(**broken))  # type: ignore[arg-type]


def test_half_a_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="both"):
        check_settings(Settings(key=tmp_path / "key.pem"))
    with pytest.raises(UsageError, match="not a file"):
        check_settings(Settings(certificate=tmp_path / "c.pem", key=tmp_path / "key.pem"))


def test_the_checks_above_find_a_guard_that_forgets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The saboteurs: without the check of names or of origins a foreign page gets through."""
    monkeypatch.setattr(guard_module.Guard, "_check_name", lambda self, request: None)
    assert status(make(), ask(host="evil.example")) == 200
    monkeypatch.setattr(guard_module.Guard, "_check_origin", lambda self, request: None)
    assert status(make(), ask(origin="https://evil.example")) == 200
