"""One value, one byte string; nothing else is accepted."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoestring.base import canonical
from shoestring.base.errors import BundleError


@dataclass(frozen=True)
class Inner:
    x: float
    name: str


@dataclass(frozen=True)
class Outer:
    count: int
    inner: tuple[Inner, ...]
    note: str | None = None


GOOD = Outer(3, (Inner(0.5, "ä"), Inner(1.0, "b")), None)
BYTES = canonical.encode(GOOD)


TEXT = st.text(st.characters(codec="utf-8"))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def decode(data: bytes) -> Outer:
    return canonical.decode(data, Outer, BundleError)


def test_round_trip() -> None:
    assert decode(BYTES) == GOOD
    assert '{"count":3,"inner":[{"name":"ä","x":0.5},{"name":"b","x":1.0}],"note":null}'.encode() == BYTES


@given(st.integers(0, 10**17), st.lists(st.tuples(FLOATS, TEXT)))
def test_any_noun_comes_back(count: int, inner: list[tuple[float, str]]) -> None:
    noun = Outer(count, tuple(Inner(x, name) for x, name in inner))
    assert decode(canonical.encode(noun)) == noun


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('"count":3', '"count":3,"extra":1', "extra"),
        ('"name":"b"', '"evil":0,"name":"b"', "inner.1.evil"),
        ('"count":3', '"count":3,"count":3', "duplicate key 'count'"),
        ('"count":3', '"count": 3', "canonical"),
        ('"count":3', '"count":3.0', "int"),
        ('"x":1.0', '"x":1', "canonical"),
        ('"x":0.5', '"x":5e-1', "canonical"),
        ('"x":0.5', '"x":NaN', "NaN"),
        ('"x":0.5', '"x":"0.5"', "float"),
        ('"note":null', '"note":7', "note"),
        (',"note":null', "", "canonical"),
        ('"ä"', '"\\u00e4"', "canonical"),
        ('{"count"', '{"count', "not JSON"),
    ],
)
def test_other_spellings_are_refused(before: str, after: str, words: str) -> None:
    text = BYTES.decode()
    assert before in text
    with pytest.raises(BundleError, match=words):
        decode(text.replace(before, after, 1).encode())


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 100_000, b"[]", b"3", BYTES + b" "])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        decode(data)


def test_a_decoder_that_only_parses_would_accept_them() -> None:
    """The saboteur: plain JSON takes a duplicate key and a stray blank without a word."""
    assert json.loads(BYTES.replace(b'"count":3', b'"count": 3,"count":3'))["count"] == 3


def test_nan_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical.encode(Inner(float("nan"), ""))


@dataclasses.dataclass(frozen=True)
class Optional:
    name: str
    late: int | None = dataclasses.field(default=None, metadata=canonical.WHEN_SET)


@dataclasses.dataclass(frozen=True)
class Holder:
    items: tuple[Optional, ...]
    by_name: dict[str, Optional]


def test_a_late_field_is_written_only_when_set() -> None:
    old = b'{"by_name":{"k":{"name":"a"}},"items":[{"name":"b"}]}'
    noun = Holder((Optional("b"),), {"k": Optional("a")})
    assert canonical.encode(noun) == old
    assert canonical.decode(old, Holder, ValueError) == noun
    new = Holder((Optional("b", 7),), {"k": Optional("a", 8)})
    assert canonical.decode(canonical.encode(new), Holder, ValueError) == new
    with pytest.raises(ValueError, match="late"):  # there is one way to write that it is not set
        canonical.decode(b'{"by_name":{},"items":[{"late":null,"name":"b"}]}', Holder, ValueError)
