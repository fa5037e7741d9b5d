"""Bundles in their slots: staged, activated, started, confirmed, rolled back, cleaned up."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from shoestring.base.errors import BundleError, ShoestringError, SlotError, StorageError
from shoestring.device.slots import EMPTY, GOOD, MAX_STARTS, TRIAL, Slots
from shoestring.device.slots.record import RECORD
from slot_scenes import bring, make_bundles, make_slots, settle, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.bundle import Bundle


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    return make_slots(tmp_path / "slots")


def test_the_whole_way(slots: Slots, bundles: dict[str, Path]) -> None:
    staged = slots.stage(bundles["one"])
    assert (staged.state, staged.slot) == (EMPTY, "a")
    assert slots.active() is None
    assert slots.activate(staged).state == TRIAL
    held = slots.begin()
    assert (held.state, held.starts, held.path) == (TRIAL, 1, slots.root / "a.shoe")
    assert held.path.read_bytes() == bundles["one"].read_bytes()
    slots.confirm(held)
    again = slots.begin()
    assert (again.state, again.starts, again.sha256) == (GOOD, 0, held.sha256)
    settle(slots, bundles["two"])
    previous = slots.previous()
    assert previous is not None
    assert previous.sha256 == held.sha256


def test_a_start_is_counted_before_the_bundle_is_handed_out(slots: Slots, bundles: dict[str, Path]) -> None:
    bring(slots, bundles["one"])
    held, bundle = slots.begin_open()
    with bundle:
        assert bundle.sha256 == held.sha256
        assert Slots(slots.root).record().starts == 1


def test_a_trial_that_keeps_dying_is_rolled_back_and_refused(slots: Slots, bundles: dict[str, Path]) -> None:
    settle(slots, bundles["one"])
    bring(slots, bundles["two"])
    for _ in range(MAX_STARTS):
        assert make_slots(slots.root).begin().sha256 == sha256_of(bundles["two"])
    held = make_slots(slots.root).begin()
    assert (held.sha256, held.state) == (sha256_of(bundles["one"]), GOOD)
    assert slots.refused[0].reason == "crashed"
    with pytest.raises(SlotError) as caught:
        bring(slots, bundles["two"])
    assert caught.value.reason == "refused-before"
    slots.forget(sha256_of(bundles["two"])[:10])
    assert bring(slots, bundles["two"]).state == TRIAL


def test_failing_goes_back_at_once(slots: Slots, bundles: dict[str, Path]) -> None:
    settle(slots, bundles["one"])
    bring(slots, bundles["two"])
    back = slots.fail("golden", "it sees cats everywhere")
    assert back is not None
    assert back.sha256 == slots.begin().sha256 == sha256_of(bundles["one"])
    assert slots.refused[0].words == "it sees cats everywhere"


def test_the_first_bundle_has_nothing_to_go_back_to(slots: Slots, bundles: dict[str, Path]) -> None:
    with pytest.raises(StorageError, match="cannot open"):
        slots.begin()
    bring(slots, bundles["one"])
    assert slots.fail("crashed") is None
    with pytest.raises(SlotError, match="no bundle can be started"):
        slots.begin()
    with pytest.raises(SlotError, match="no bundle can be started"):
        slots.fail("crashed")


def test_whoever_runs_an_old_bundle_confirms_and_fails_nothing(slots: Slots, bundles: dict[str, Path]) -> None:
    old = settle(slots, bundles["one"])
    bring(slots, bundles["two"])
    slots.confirm(old)
    assert slots.fail("crashed", held=old) == slots.active()
    assert slots.record().state == TRIAL


def test_a_damaged_trial_gives_way_and_may_come_again(slots: Slots, bundles: dict[str, Path]) -> None:
    settle(slots, bundles["one"])
    held = bring(slots, bundles["two"])
    held.path.write_bytes(held.path.read_bytes()[:-1])
    assert slots.begin().sha256 == sha256_of(bundles["one"])
    assert slots.refused == ()
    assert settle(slots, bundles["two"]).state == TRIAL


@pytest.mark.parametrize("how", ["gone", "another sound bundle", "a flipped byte"])
def test_a_damaged_good_bundle_gives_way_to_the_one_before(slots: Slots, bundles: dict[str, Path], how: str) -> None:
    settle(slots, bundles["one"])
    held = settle(slots, bundles["two"])
    assert slots.is_sound(held)
    if how == "gone":
        held.path.unlink()
    elif how == "another sound bundle":
        held.path.write_bytes(bundles["three"].read_bytes())
    else:
        data = bytearray(held.path.read_bytes())
        data[len(data) // 2] ^= 1
        held.path.write_bytes(data)
    assert not slots.is_sound(held)
    back = slots.begin()
    assert (back.sha256, back.state) == (sha256_of(bundles["one"]), GOOD)


def test_a_full_disk_starts_the_good_bundle_instead_of_an_uncounted_trial(
    slots: Slots, bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(slots, bundles["one"])
    bring(slots, bundles["two"])

    def full(path: Path, data: bytes) -> None:
        raise StorageError("no room")

    monkeypatch.setattr("shoestring.base.disk.write_bytes", full)
    assert slots.begin().sha256 == sha256_of(bundles["one"])
    monkeypatch.undo()
    assert slots.record().state == TRIAL
    assert slots.begin().sha256 == sha256_of(bundles["two"])


def test_a_full_disk_starts_no_first_trial(
    slots: Slots, bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(slots, bundles["one"])

    def full(path: Path, data: bytes) -> None:
        raise StorageError("no room")

    monkeypatch.setattr("shoestring.base.disk.write_bytes", full)
    with pytest.raises(StorageError, match="no room"):
        slots.begin()


def test_what_is_no_bundle_leaves_the_slot_empty(slots: Slots, bundles: dict[str, Path], tmp_path: Path) -> None:
    good = settle(slots, bundles["one"])
    junk = tmp_path / "junk.shoe"
    junk.write_bytes(bundles["two"].read_bytes() + b"!")
    with pytest.raises(BundleError, match="describes a file of"):
        slots.stage(junk)
    assert not (slots.root / "b.shoe").exists()
    assert slots.begin().sha256 == good.sha256


def test_checks_see_the_copy_and_their_word_counts(slots: Slots, bundles: dict[str, Path]) -> None:
    seen: list[Path] = []

    def refuse(bundle: Bundle) -> None:
        seen.append(bundle.path)
        raise SlotError("I do not like it", "chip")

    with pytest.raises(SlotError, match="I do not like it"):
        slots.stage(bundles["one"], refuse)
    assert seen == [slots.root / "a.shoe"]
    assert not seen[0].exists()


def test_only_what_was_verified_is_activated(slots: Slots, bundles: dict[str, Path], tmp_path: Path) -> None:
    held = slots.stage(bundles["one"])
    other = tmp_path / "other"
    other.write_bytes(bundles["two"].read_bytes())
    other.replace(held.path)
    with pytest.raises(SlotError, match="was replaced after it was verified"):
        slots.activate(held)
    assert slots.active() is None
    with pytest.raises(SlotError, match="was not staged"):
        make_slots(slots.root).activate(held)


def test_a_good_bundle_stays_while_the_next_is_staged(slots: Slots, bundles: dict[str, Path]) -> None:
    settle(slots, bundles["one"])
    settle(slots, bundles["two"])
    slots.stage(bundles["three"])
    assert slots.previous() is None
    assert slots.begin().sha256 == sha256_of(bundles["two"])


def test_without_room_nothing_changes(slots: Slots, bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    settle(slots, bundles["one"])
    settle(slots, bundles["two"])
    before = slots.record()
    real = os.statvfs(slots.root)
    few = os.statvfs_result((real.f_bsize, 4096, *real[2:4], 10, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: few)
    with pytest.raises(SlotError, match="must stay free") as caught:
        slots.stage(bundles["three"])
    assert caught.value.reason == "space"
    assert slots.record() == before
    assert (slots.root / "a.shoe").exists()


def test_leftovers_are_removed_and_nothing_else(slots: Slots, bundles: dict[str, Path]) -> None:
    settle(slots, bundles["one"])
    names = {"b.shoe", ".b.shoe.xyz.part", ".slots.json.q.part"}
    for name in (*names, "agent.json", ".agent.json.q.part"):
        (slots.root / name).write_bytes(b"half")
    assert set(slots.clean()) == names
    assert slots.clean() == ()
    left = {path.name for path in slots.root.iterdir()}
    assert left == {"a.shoe", "lock", "slots.json", "slots.good.json", "agent.json", ".agent.json.q.part"}


def test_revoking_may_leave_nothing(slots: Slots, bundles: dict[str, Path]) -> None:
    settle(slots, bundles["one"])
    settle(slots, bundles["two"])
    back = slots.revoke({sha256_of(bundles["two"])})
    assert back is not None
    assert back.sha256 == sha256_of(bundles["one"])
    assert slots.revoke({sha256_of(bundles["one"])}) is None
    assert [one.reason for one in slots.refused] == ["revoked", "revoked"]
    with pytest.raises(SlotError, match="no bundle can be started"):
        slots.begin()
    (slots.root / RECORD).write_bytes(b"junk")
    assert slots.active() is None  # nor does its copy bring it back


def test_two_do_not_activate_at_once_and_starts_do_not_wait(slots: Slots, bundles: dict[str, Path]) -> None:
    settle(slots, bundles["one"])
    inside, go_on = threading.Event(), threading.Event()

    def slowly(bundle: Bundle) -> None:
        inside.set()
        go_on.wait(30)

    thread = threading.Thread(target=lambda: make_slots(slots.root).stage(bundles["two"], slowly))
    thread.start()
    try:
        assert inside.wait(30)
        with pytest.raises(StorageError, match="another bundle is being activated"):
            slots.stage(bundles["three"])
        assert slots.begin().sha256 == sha256_of(bundles["one"])
        slots.confirm()
    finally:
        go_on.set()
        thread.join()
    assert slots.stage(bundles["three"]).slot == "b"


@pytest.mark.parametrize("kind", ["missing", "pipe", "directory"])
def test_a_source_that_is_no_file_is_refused(slots: Slots, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "source"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    with pytest.raises(ShoestringError):
        slots.stage(path)
    assert not slots.root.exists()
