"""The record on the disk: damaged, missing, hostile, and the copy that stands in for it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from shoestring.base import canonical
from shoestring.base.errors import SlotError, StorageError
from shoestring.device.slots import GOOD, TRIAL
from shoestring.device.slots.nouns import MAX_RECORD_BYTES, NOTHING
from shoestring.device.slots.record import COPY, RECORD, read_record, sealed
from slot_scenes import make_slots, settle, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shoestring.device.slots import Slots


def test_a_device_that_never_had_a_bundle_has_no_trouble(tmp_path: Path) -> None:
    slots = make_slots(tmp_path / "never")
    assert slots.active() is None
    assert slots.trouble() is None
    assert slots.refused == ()


def test_the_record_is_canonical_and_closed(slots: Slots) -> None:
    data = (slots.root / RECORD).read_bytes()
    assert sealed(slots.record()) == data
    parsed = json.loads(data)["record"]
    for odd in ({**parsed, "more": 1}, {key: parsed[key] for key in parsed if key != "starts"}):
        (slots.root / RECORD).write_bytes(resealed(odd))
        assert "no sound record" in str(slots.trouble())


def resealed(parsed: object) -> bytes:
    """Somebody who knows the format."""
    return canonical.encode({"record": parsed, "sha256": canonical.digest(parsed)})


def changed(old: str, new: str) -> Callable[[bytes], bytes]:
    """Other text in the record, under a hash that fits it."""

    def change(data: bytes) -> bytes:
        text = canonical.encode(json.loads(data)["record"]).decode()
        assert old in text
        return resealed(json.loads(text.replace(old, new)))

    return change


def rotten(data: bytes, place: int) -> bytes:
    """One bit is another; a digit stays a digit."""
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
    "zeroed": lambda data: bytes(len(data)),
    "a flipped bit": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "endless": lambda _: b" " * (MAX_RECORD_BYTES + 1),
    "deep": lambda _: b"[" * 60_000,
    "another format": changed('"format":1', '"format":2'),
    "another state": changed('"trial"', '"great"'),
    "states that do not agree": changed('"trial"', '"empty"'),
    "starts beyond all": changed('"starts":0', '"starts":9'),
    "a rotten bit of a hash": lambda data: rotten(data, data.index(b'"sha256":"') + 20),
    "a rotten bit of a count": lambda data: rotten(data, data.index(b'"starts":') + 9),
    "a slot of nobody": changed('"slot":"b"', '"slot":"/etc/passwd"'),
    "two in one slot": changed('"slot":"b"', '"slot":"a"'),
    "no hash": changed('"sha256":"', '"sha256":"X'),
    "a count below zero": changed('"size_bytes":', '"size_bytes":-'),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_record_gives_way_to_what_was_good(slots: Slots, bundles: dict[str, Path], how: str) -> None:
    path = slots.root / RECORD
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    assert "what was good before is taken" in str(slots.trouble())
    held = slots.begin()
    assert (held.sha256, held.state) == (sha256_of(bundles["one"]), GOOD)
    assert slots.trouble() is None  # written anew by the start
    assert path.read_bytes() == (slots.root / COPY).read_bytes()


@pytest.mark.parametrize("kind", ["missing", "directory", "link to nowhere", "pipe"])
def test_a_record_that_is_no_file_is_damaged(slots: Slots, bundles: dict[str, Path], kind: str) -> None:
    path = slots.root / RECORD
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "link to nowhere":
        path.symlink_to(slots.root / "nowhere")
    elif kind == "pipe":
        os.mkfifo(path)
    record, trouble = read_record(slots.root)
    assert record.active is not None
    assert record.active.sha256 == sha256_of(bundles["one"])
    assert trouble is not None


def test_without_both_nothing_is_started_and_nothing_is_removed(slots: Slots, bundles: dict[str, Path]) -> None:
    for name in (RECORD, COPY):
        (slots.root / name).write_bytes(b"junk")
    with pytest.raises(SlotError, match="no sound record") as caught:
        slots.begin()
    assert caught.value.reason == "damaged"
    assert "activate BUNDLE" in str(caught.value.hint)
    assert (slots.root / RECORD).read_bytes() == b"junk"
    assert slots.clean() == ()
    assert slots.active() is None
    settle(slots, bundles["three"])  # the way out
    assert slots.trouble() is None


def test_files_without_any_record_were_never_good(slots: Slots) -> None:
    for name in (RECORD, COPY):
        (slots.root / name).unlink()
    assert "nothing tells which bundle was good" in str(slots.trouble())
    with pytest.raises(SlotError, match="nothing tells"):
        slots.begin()


def test_refusals_and_the_counter_outlive_a_damaged_record(slots: Slots, bundles: dict[str, Path]) -> None:
    slots.seen(9)
    slots.fail("crashed", "it fell over")
    (slots.root / RECORD).write_bytes(b"junk")
    assert slots.record().counter == 9
    assert [one.sha256 for one in slots.refused] == [sha256_of(bundles["two"])]


def cut_before_the_copy(slots: Slots, bundles: dict[str, Path]) -> None:
    """A confirmation that a cut ended before the copy; then another bundle is staged, and a bit rots."""
    old = (slots.root / COPY).read_bytes()
    slots.begin()
    slots.confirm()
    (slots.root / COPY).write_bytes(old)
    slots.stage(bundles["three"])
    (slots.root / RECORD).write_bytes(b"junk")


def test_a_copy_that_was_not_written_is_written_before_a_slot_is(slots: Slots, bundles: dict[str, Path]) -> None:
    cut_before_the_copy(slots, bundles)
    assert slots.begin().sha256 == sha256_of(bundles["two"])


def test_without_that_the_good_bundle_would_be_lost(
    slots: Slots, bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoestring.device.slots.staging.settle_copy", lambda root, record: None)
    monkeypatch.setattr("shoestring.device.slots.staging.write_record", lambda root, record: None)
    cut_before_the_copy(slots, bundles)
    with pytest.raises(SlotError, match="no bundle can be started"):
        slots.begin()


def test_a_moment_without_descriptors_is_no_damage(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def none_left(path: object, *arguments: object, **named: object) -> int:
        if str(path).endswith(RECORD):
            raise OSError(24, "Too many open files")
        return real(path, *arguments, **named)  # type: ignore[arg-type]

    before = (slots.root / RECORD).read_bytes()
    monkeypatch.setattr(os, "open", none_left)
    with pytest.raises(StorageError, match="Too many open files"):
        slots.begin()
    monkeypatch.undo()
    assert (slots.root / RECORD).read_bytes() == before
    assert slots.begin().state == TRIAL


def test_nothing_is_the_record_of_a_new_device() -> None:
    assert canonical.decode(canonical.encode(NOTHING), type(NOTHING), ValueError) == NOTHING
