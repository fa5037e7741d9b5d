"""The power goes at every point of a refresh: what is left is older or newer, and sound, and the next one ends well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import power
from proof_scale import SCALE
from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import RepositoryError
from shoestring.domain.release import bundle_path
from shoestring.trust.floor import Floor
from shoestring.trust.repository import Repository, Trusted, download
from shoestring.trust.repository.download import Wanted, fetch
from signed_repository import DAY_S, DEVICE, GROUP, NOW_S, MemorySource, MemoryStream, Workshop

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 40 * SCALE


class Telling(MemorySource):
    """Says what is asked for: everything before it was to be on the disk by then."""

    def __init__(self, files: dict[str, bytes], done: power.Done) -> None:
        super().__init__(files)
        self._done = done

    def ask(self, path: str, start_bytes: int = 0, mark: str | None = None) -> MemoryStream | None:
        """As `Source.ask`."""
        self._done(path)
        return super().ask(path, start_bytes, mark)


def shop_of(rotated: bool) -> Workshop:
    """Two releases, ten days apart; between them other keys for the timestamp, or not."""
    shop = Workshop()
    shop.release("one")
    shop.now_s += 10 * DAY_S
    if rotated:
        shop.rotate("timestamp", ["ts2"], 1)
    shop.release("two")
    return shop


def scenario_of(shop: Workshop) -> power.Scenario:
    """A device that trusts the first state refreshes to the last."""

    def client(root: Path, files: dict[str, bytes], done: power.Done = lambda label: None) -> Repository:
        return Repository(root / "store", Telling(files, done), shop.root, lambda: NOW_S)

    def prepare(root: Path) -> None:
        client(root, shop.history[0]).release(GROUP, DEVICE)

    def act(root: Path, done: power.Done) -> None:
        repository = client(root, shop.files, done)
        repository.refresh()
        done("refreshed")
        repository.release(GROUP, DEVICE)
        done("released")

    def check(root: Path, done: tuple[str, ...]) -> None:
        repository = client(root, shop.files)
        held, last = repository.trusted, shop.signed["timestamp"]["version"]
        newest = Trusted(shop.signed["root"]["version"], last, last, last)
        between = {Trusted(1, 1, 1, 1), Trusted(1, 2, 1, 1)} if newest.root == 1 else {Trusted(1, 1, 1, 1)}
        between |= {Trusted(2, 0, 0, 0), Trusted(2, last, 0, 0), Trusted(2, last, 1, 1)} if newest.root == 2 else set()
        assert held in {newest} | between, held
        if "metadata/3.root.json" in done:
            assert held.root == 2
        if f"metadata/{last}.snapshot.json" in done:
            assert held.timestamp == last
        if f"metadata/{last}.targets.json" in done:
            assert held == newest
        for role, label in (("targets", "refreshed"), ("cam.1", "released")):
            if label in done:
                file = f"metadata/{shop.signed[role]['version']}.{role}.json"
                assert (root / "store" / "metadata" / f"role.{role}.json").read_bytes() == shop.files[file]
        assert Floor(root / "store" / "floor.json").value_s >= (NOW_S + 10 * DAY_S if "released" in done else NOW_S)
        if held == newest:
            with pytest.raises(RepositoryError):
                client(root, shop.history[0]).refresh()
        release = client(root, shop.files).release(GROUP, DEVICE)
        assert release is not None and release.name == "two"
        assert client(root, shop.files).trusted == newest

    return power.Scenario(prepare, act, check)


@pytest.mark.parametrize("rotated", [False, True], ids=["same keys", "other keys"])
def test_a_cut_leaves_what_was_trusted_or_more(rotated: bool) -> None:
    count = power.cut(scenario_of(shop_of(rotated)), seed=8, limit=LIMIT)
    print(f"{count} states")


def test_no_fsync_of_a_refresh_is_idle() -> None:
    """Each one left out loses something that a later step had counted on."""
    assert power.drop_each(scenario_of(shop_of(False)), seed=8, limit=LIMIT) == []


def test_a_cut_download_is_the_old_file_or_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "DOWNLOAD_PIECE_BYTES", 200)
    monkeypatch.setattr(download, "HASH_BLOCK_BYTES", 90)
    shop = shop_of(False)
    path = bundle_path(sha256_hex(shop.bundle))
    wanted = Wanted(path, sha256_hex(shop.bundle), len(shop.bundle))

    def prepare(root: Path) -> None:
        (root / "out").write_bytes(b"old")

    def act(root: Path, done: power.Done) -> None:
        fetch(MemorySource(shop.files), wanted, root / "out")
        done("fetched")

    def check(root: Path, done: tuple[str, ...]) -> None:
        held = (root / "out").read_bytes()
        assert held == shop.bundle if "fetched" in done else held in (b"old", shop.bundle)
        fetch(MemorySource(shop.files), wanted, root / "out")
        assert (root / "out").read_bytes() == shop.bundle
        assert not list(root.glob(".*.part"))

    count = power.cut(power.Scenario(prepare, act, check), seed=8, limit=LIMIT)
    print(f"{count} states")
