"""A command that is cut at any write leaves a repository that devices take, and that the next command goes on from."""

from __future__ import annotations

import errno
import shutil

import pytest

from faults import Failing
from fleets import GROUP, Site, device_in
from proof_scale import SCALE
from shoestring.base import disk
from shoestring.base.disk import kernel
from shoestring.base.errors import RepositoryError, ShoestringError, StorageError
from shoestring.fleet.repository import draft as drafts
from shoestring.fleet.repository.promote import promote
from shoestring.fleet.repository.publish import publish
from shoestring.fleet.repository.refresh import refresh
from shoestring.fleet.repository.revoke import revoke
from shoestring.fleet.repository.rotation import add_key, remove_key

DEVICE = device_in(0)
LAST = 3
"""Writes at the end, where the order matters, that are cut each time; of those before some, in `make proof` more."""


class Cut(BaseException):
    """The power goes."""


class Scissors:
    """Cuts before the N-th file is written; 0 never."""

    def __init__(self, monkeypatch, number):
        self.writes = 0
        write, stream = disk.write_bytes, disk.atomic_file

        def step():
            self.writes += 1
            if self.writes == number:
                raise Cut

        def write_bytes(path, data):
            step()
            write(path, data)

        def atomic_file(path):
            step()
            return stream(path)

        monkeypatch.setattr(disk, "write_bytes", write_bytes)
        monkeypatch.setattr(disk, "atomic_file", atomic_file)


def _rotate(site):
    """A new key in the place of the old one, for the role that signs what devices read first."""
    add_key(site.workshop, "timestamp", site.workshop.keyring.named["spare"])


def _unrotate(site):
    remove_key(site.workshop, "timestamp", site.workshop.keyring.named["timestamp"].keyid)


COMMANDS = {
    "publish": lambda site: publish(site.workshop, site.bundle("third"), GROUP, policy=None),
    "promote": lambda site: promote(site.workshop, GROUP, None),
    "revoke": lambda site: revoke(site.workshop, site.sha256("second")),
    "refresh": lambda site: refresh(site.workshop),
    "add-key": _rotate,
    "remove-key": _unrotate,
}


@pytest.fixture
def middle(site):
    """Within a roll-out, with a spare key that signs for the timestamp when a command takes one away."""
    site.workshop.keyring.make("spare")
    publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    return site


def copy_of(site, folder):
    shutil.copytree(site.folder, folder, ignore=shutil.ignore_patterns("devices"))
    bundles = {name: folder / path.name for name, path in site.bundles.items()}
    return Site(folder, site.now_s + 60, bundles=bundles)


def counter(site, store):
    release = site.release(DEVICE, store)
    assert release is not None
    return release.counter


@pytest.mark.parametrize("name", COMMANDS)
def test_a_cut_leaves_the_old_or_the_new(middle, name, tmp_path, monkeypatch):
    if name == "remove-key":
        _rotate(middle)
    before = counter(middle, "first")
    whole = copy_of(middle, tmp_path / "whole")
    with monkeypatch.context() as patch:
        counted = Scissors(patch, 0)
        COMMANDS[name](whole)
    after = counter(whole, "first")
    numbers = range(1, counted.writes + 1)
    numbers = sorted({*numbers[:: max(1, counted.writes // SCALE)], *numbers[-LAST:]})
    for number in numbers:
        cut = copy_of(middle, tmp_path / str(number))
        assert counter(cut, "met before") == before
        with monkeypatch.context() as patch, pytest.raises(Cut):
            Scissors(patch, number)
            COMMANDS[name](cut)
        assert counter(cut, "met before") in (before, after)
        refresh(cut.workshop)
        try:
            COMMANDS[name](cut)
        except ShoestringError as error:  # it had been done but for the end
            assert name in ("revoke", "promote", "remove-key"), error
        assert counter(cut, "met before") >= after
        assert counter(cut, "fresh") >= after


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_at_any_call_leaves_the_old_or_the_new(middle, tmp_path, code):
    before = counter(middle, "first")
    counting = Failing(0, code)
    with kernel.using(counting):
        COMMANDS["refresh"](copy_of(middle, tmp_path / "whole"))
    refused = 0
    for number in range(1, counting.calls + 1, 1 if SCALE > 1 else 6):
        cut = copy_of(middle, tmp_path / str(number))
        with kernel.using(Failing(number, code)):
            try:
                COMMANDS["refresh"](cut)
            except StorageError:
                refused += 1
        assert counter(cut, "fresh") == before
        refresh(cut.workshop)
        shutil.rmtree(cut.folder)
    assert refused > 1


def test_the_saboteur_that_writes_the_timestamp_first_is_caught(middle, tmp_path, monkeypatch):
    write = drafts.Draft._write

    def wrong(self, order, files, signed):
        write(self, sorted(order, key=lambda role: role != "timestamp"), files, signed)

    monkeypatch.setattr(drafts.Draft, "_write", wrong)
    caught = 0
    for number in range(1, 5):
        cut = copy_of(middle, tmp_path / str(number))
        with monkeypatch.context() as patch, pytest.raises(Cut):
            Scissors(patch, number)
            refresh(cut.workshop)
        try:
            counter(cut, "fresh")
        except ShoestringError:
            caught += 1
        else:
            continue
        break
    assert caught


def test_nothing_is_signed_on_top_of_a_file_that_is_not_ours(site):
    path = max((site.path / "metadata").glob("*.targets.json"))
    path.write_bytes(path.read_bytes().replace(b'"bundles/', b'"bundlez/', 1))
    before = site.files()
    with pytest.raises(RepositoryError, match="not the file that was signed"):
        refresh(site.workshop)
    assert site.files() == before


def test_a_version_that_a_cut_left_behind_is_not_used_again(site, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Cut):
        Scissors(patch, 3)
        publish(site.workshop, site.bundle("second"), GROUP, policy=None)
    left = {path.name: path.read_bytes() for path in (site.path / "metadata").iterdir()}
    publish(site.workshop, site.bundle("third"), GROUP, policy=None)
    for name, data in left.items():
        if name != "timestamp.json":
            assert (site.path / "metadata" / name).read_bytes() == data
