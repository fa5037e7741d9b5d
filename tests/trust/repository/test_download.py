"""A target's way to the disk: cut at any byte it goes on, and no mirror's lie outlives the hash of the whole."""

from __future__ import annotations

import errno
import hashlib
import random
from typing import TYPE_CHECKING, BinaryIO

import pytest

from proof_scale import SCALE
from scripted_server import header, path_of, ranged, serving, whole
from shoestring.base.errors import RepositoryError, UnreachableError
from shoestring.trust.repository import download
from shoestring.trust.repository.download import Wanted, fetch
from shoestring.trust.repository.folder import FolderSource
from shoestring.trust.repository.layout import target_file
from shoestring.trust.repository.source import open_source

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

DATA = random.Random(1).randbytes(20_000)
WANTED = Wanted("bundles/a.shoe", hashlib.sha256(DATA).hexdigest(), len(DATA))
OTHER = bytes(len(DATA))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the disk every 2,000 bytes, so that a cut leaves much."""
    monkeypatch.setattr(download, "DOWNLOAD_PIECE_BYTES", 2_000)
    monkeypatch.setattr(download, "HASH_BLOCK_BYTES", 700)


def names(folder: Path) -> list[str]:
    """What lies there."""
    return sorted(path.name for path in folder.iterdir())


def test_whole_at_once(tmp_path: Path) -> None:
    with serving(lambda connection, head: ranged(connection, head, DATA, '"m"')) as (address, heads):
        fetch(open_source(address), WANTED, tmp_path / "out")
        fetch(open_source(address), WANTED, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA
    assert path_of(heads[0]) == f"/targets/bundles/{WANTED.sha256}.a.shoe"
    assert len(heads) == 1, "what is there already is not fetched again"
    assert names(tmp_path) == ["out"], "neither part nor mark stays"


@pytest.mark.parametrize("seed", range(3 * SCALE))
def test_cut_at_random_bytes_it_goes_on(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    sent: list[int] = []

    def script(connection: socket.socket, head: str) -> None:
        start = int((header(head, "Range") or "bytes=0-")[6:-1])
        stop = chance.randrange(0, 6_000)
        sent.append(min(stop, len(DATA) - start))
        ranged(connection, head, DATA, '"m"', stop)

    with serving(script) as (address, heads):
        for _ in range(200):
            try:
                fetch(open_source(address), WANTED, tmp_path / "out")
                break
            except UnreachableError:
                assert not (tmp_path / "out").exists()
    assert (tmp_path / "out").read_bytes() == DATA
    assert all(header(head, "If-Range") == '"m"' for head in heads if header(head, "Range"))
    assert sum(sent) == len(DATA), "no byte came twice"


def other_mark(connection: socket.socket, head: str) -> None:
    """The content is another now, and the server says so: everything from the beginning."""
    ranged(connection, head, DATA, '"new"')


def no_ranges(connection: socket.socket, head: str) -> None:
    """A server that never heard of ranges."""
    connection.sendall(whole("200 OK", DATA))


def refuses_ranges(connection: socket.socket, head: str) -> None:
    """416 to every range."""
    connection.sendall(whole("416 x", b"") if header(head, "Range") else whole("200 OK", DATA))


def wrong_range(connection: socket.socket, head: str) -> None:
    """206 with another part than was asked for."""
    lie = whole("206 x", DATA[5:], f"Content-Range: bytes 5-{len(DATA) - 1}/{len(DATA)}")
    connection.sendall(lie if header(head, "Range") else whole("200 OK", DATA))


def lies_once(connection: socket.socket, head: str) -> None:
    """The rest of another file."""
    ranged(connection, head, OTHER if header(head, "Range") else DATA, '"m"')


@pytest.mark.parametrize("script", [other_mark, no_ranges, refuses_ranges, wrong_range, lies_once])
def test_a_server_that_cannot_go_on_costs_one_start_anew(tmp_path: Path, script: Callable[..., None]) -> None:
    with (
        serving(lambda connection, head: ranged(connection, head, DATA, '"m"', 9_000)) as (address, _),
        pytest.raises(UnreachableError),
    ):
        fetch(open_source(address), WANTED, tmp_path / "out")
    assert (tmp_path / f".{WANTED.sha256}.part").stat().st_size == 9_000
    with serving(script) as (address, heads):
        fetch(open_source(address), WANTED, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA
    assert len(heads) <= 2
    assert names(tmp_path) == ["out"]


def test_a_mirror_that_lies_always_is_refused_after_two(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    (tmp_path / f".{WANTED.sha256}.part").write_bytes(DATA[:5_000])
    with serving(lambda connection, head: ranged(connection, head, OTHER, '"m"')) as (address, heads):
        with pytest.raises(RepositoryError) as told:
            fetch(open_source(address), WANTED, tmp_path / "out")
        assert told.value.rule == "hash"
    assert len(heads) == 2
    assert names(tmp_path) == ["out"], "nothing of the lie stays"
    assert (tmp_path / "out").read_bytes() == b"old"


@pytest.mark.parametrize(
    "part",
    [DATA, DATA + b"more", DATA[:-1] + b"x", b"", bytes(9_000)],
    ids=["whole", "long", "wrong", "empty", "zeros"],
)
def test_any_part_on_the_disk_ends_well(tmp_path: Path, part: bytes) -> None:
    """A power cut may leave zeros where bytes were to be; a part may be whole and only lack its name."""
    (tmp_path / f".{WANTED.sha256}.part").write_bytes(part)
    (tmp_path / f".{WANTED.sha256}.mark").write_bytes(b"\xff\xfe")
    with serving(lambda connection, head: ranged(connection, head, DATA, '"m"')) as (address, _):
        fetch(open_source(address), WANTED, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA


def test_a_part_that_cannot_be_read_to_its_end_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that wears out fails in the middle of a read."""
    part = tmp_path / f".{WANTED.sha256}.part"
    part.write_bytes(DATA[:5_000])
    kept = download.open_within

    class Worn:
        def __init__(self, stream: BinaryIO) -> None:
            self.stream, self.reads = stream, 0

        def read(self, size: int) -> bytes:
            self.reads += 1
            if self.reads > 2:
                raise OSError(errno.EIO, "worn out")
            return self.stream.read(size)

        def __enter__(self) -> Worn:
            return self

        def __exit__(self, *_: object) -> None:
            self.stream.close()

    def opened(root: Path, name: str) -> object:
        stream = kept(root, name)
        return Worn(stream) if name == part.name else stream

    monkeypatch.setattr(download, "open_within", opened)
    with serving(lambda connection, head: ranged(connection, head, DATA, '"m"')) as (address, heads):
        fetch(open_source(address), WANTED, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA
    assert header(heads[0], "Range") is None


def test_an_endless_file_stops_at_its_length(tmp_path: Path) -> None:
    def script(connection: socket.socket, head: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n" + DATA + b"\r\n")
        while True:
            connection.sendall(b"3e8\r\n" + b"x" * 1_000 + b"\r\n")

    with serving(script) as (address, _), pytest.raises(RepositoryError) as told:
        fetch(open_source(address), WANTED, tmp_path / "out")
    assert told.value.rule == "length"
    assert names(tmp_path) == []


def test_from_a_directory(tmp_path: Path) -> None:
    stick, home = tmp_path / "stick", tmp_path / "home"
    home.mkdir()
    path = stick / target_file(WANTED.path, WANTED.sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    (home / f".{WANTED.sha256}.part").write_bytes(DATA[:777])
    fetch(FolderSource(stick), WANTED, home / "out")
    assert (home / "out").read_bytes() == DATA


def test_a_directory_that_is_not_there_or_leads_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="stick"):
        FolderSource(tmp_path / "none").ask("metadata/timestamp.json")
    (tmp_path / "metadata").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "metadata" / "timestamp.json").symlink_to(tmp_path / "secret")
    with pytest.raises(RepositoryError) as told:
        FolderSource(tmp_path).ask("metadata/timestamp.json")
    assert told.value.rule == "name"
    with pytest.raises(RepositoryError):
        FolderSource(tmp_path).ask("../secret")
    assert FolderSource(tmp_path).ask("metadata/none.json") is None
    assert FolderSource(tmp_path).ask("none/none.json") is None
