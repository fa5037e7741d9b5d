"""Units, errors, contained opens, the cache."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from shoestring.base import errors, units
from shoestring.base.cache import Cache
from shoestring.base.errors import DataError, ShoestringError, UsageError
from shoestring.base.opens import open_within


@pytest.mark.parametrize(("text", "value"), [("1pt", 0.01), ("0.5 pt", 0.005), ("2%", 0.02), (".1pts", 0.001)])
def test_drops(text: str, value: float) -> None:
    assert units.parse_drop(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["0.5", "1", "pt", "-1pt", "0pt", "100pt", "1ms", "1e400pt", "nanpt", ""])
def test_drops_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="accuracy drop"):
        units.parse_drop(text)


@pytest.mark.parametrize(("text", "value"), [("5ms", 5.0), ("0.2s", 200.0), ("300us", 0.3), ("1e-1 s", 100.0)])
def test_times(text: str, value: float) -> None:
    assert units.parse_ms(text) == pytest.approx(value)


@pytest.mark.parametrize(("text", "value"), [("4MB", 4_000_000), ("1.5GiB", 1_610_612_736), ("500kB", 500_000)])
def test_sizes(text: str, value: int) -> None:
    assert units.parse_bytes(text) == value


@pytest.mark.parametrize("text", ["5", "0ms", "5mb", "fast"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="latency"):
        units.parse_ms(text)


def test_formats() -> None:
    assert units.format_bytes(12_345_678) == "12.3 MB"
    assert units.format_bytes(999) == "999 B"
    assert units.format_ms(1.2345) == "1.23 ms"
    assert units.format_points(0.0123) == "1.23 pt"
    assert units.format_count(55_000_000) == "55 M"


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = {line.split("exit")[0].strip(" │├└─") for line in (errors.__doc__ or "").splitlines() if "exit " in line}
    classes = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert drawn == classes
    for line in (errors.__doc__ or "").splitlines():
        if "exit " in line:
            name, code = line.split("exit")[0].strip(" │├└─"), int(line.split("exit ")[1].split()[0])
            assert getattr(errors, name).exit_code == code


def test_a_hint_follows_the_message() -> None:
    assert str(ShoestringError("what", hint="do")) == "what\n  hint: do"
    assert str(ShoestringError("what")) == "what"


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "/etc/passwd",
        "a/../../secret",
        "",
        ".",
        "link",
        "folder/link",
        "a\0b",
        "folder",
        "fifo",
        "c:\\x",
        "linkdir/inside",
        "half a letter \ud83d",
    ],
)
def test_nothing_outside_is_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "inside").write_text("secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "folder" / "link").symlink_to(tmp_path / "secret")
    (root / "linkdir").symlink_to(tmp_path / "other")
    os.mkfifo(root / "fifo")
    with pytest.raises(DataError):
        open_within(root, name)


def test_what_is_inside_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x")
    with open_within(tmp_path, "a/b") as stream:
        assert stream.read() == b"x"


@dataclass(frozen=True)
class Answer:
    value: int


def test_the_cache_computes_once_and_survives_damage(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    calls: list[int] = []

    def compute() -> Answer:
        calls.append(1)
        return Answer(42)

    assert cache.noun("room", {"q": 1}, Answer, compute) == Answer(42)
    assert cache.noun("room", {"q": 1}, Answer, compute) == Answer(42)
    assert len(calls) == 1
    assert cache.noun("room", {"q": 2}, Answer, compute) == Answer(42)
    assert len(calls) == 2
    cache.path("room", {"q": 1}, ".json").write_bytes(b'{"value":')
    assert cache.noun("room", {"q": 1}, Answer, compute) == Answer(42)
    assert len(calls) == 3


def test_a_failing_step_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def write(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.file("room", 1, ".bin", write)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHOESTRING_CACHE", str(tmp_path / "mine"))
    assert Cache().root == tmp_path / "mine"
    monkeypatch.delenv("SHOESTRING_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Cache().root == tmp_path / "shoestring"
