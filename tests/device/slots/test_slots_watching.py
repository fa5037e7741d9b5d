"""Trials: what ends them well, what ends them badly, and when a process leaves for another bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoestring.base.errors import DataError, EngineDownError, GoldenError, SignatureError, StorageError
from shoestring.device.slots import Slots
from shoestring.device.slots.record import RECORD
from shoestring.device.slots.trial import Progress, Rules, after, verdict
from shoestring.device.slots.watching import LOOK_S, Watching
from shoestring.device.supervise.nouns import RungState
from slot_scenes import bring, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

RULES = Rules(answers=100, seconds=60.0, faults=3)


class Clock:
    """Stands still until it is moved."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def watch(slots: Slots, clock: Clock, said: list[str] | None = None) -> Watching:
    held = slots.begin()
    return Watching(slots, held, RULES, (said if said is not None else []).append, clock)


def test_enough_answers_make_it_good(slots: Slots) -> None:
    said: list[str] = []
    watching = watch(slots, Clock(), said)
    watching.counted(99, 0)
    assert slots.record().state == "trial"
    watching.counted(1, 0)
    assert slots.record().state == "good"
    assert "served well" in said[0]
    watching.counted(500, 0)
    assert len(said) == 1


def test_enough_time_makes_it_good(slots: Slots) -> None:
    clock = Clock()
    watching = watch(slots, clock)
    for _ in range(59):
        clock.now_s += 1
        watching.counted(0, 0)
    assert slots.record().state == "trial"
    clock.now_s += 1
    watching.counted(0, 0)
    assert slots.record().state == "good"


def test_a_fault_begins_the_count_anew(slots: Slots) -> None:
    clock = Clock()
    watching = watch(slots, clock)
    clock.now_s += 59
    watching.counted(99, 1)
    clock.now_s += 2
    watching.counted(99, 0)
    assert slots.record().state == "trial"
    watching.counted(1, 0)
    assert slots.record().state == "good"


def test_too_many_faults_end_it(slots: Slots, bundles: dict[str, Path]) -> None:
    watching = watch(slots, Clock())
    for _ in range(2):
        watching.counted(50, 1)
        assert watching.leaving is None
    watching.counted(50, 1)
    assert "the one before is active again" in str(watching.leaving)
    assert slots.refused[0].reason == "crashed"
    assert slots.begin().sha256 == sha256_of(bundles["one"])


def test_no_rung_left_ends_it_at_once(slots: Slots) -> None:
    watching = watch(slots, Clock())
    states = [RungState("int8", "resting"), RungState("fp32", "proven")]
    watching.attach(lambda: states)
    watching.counted(0, 1)
    assert watching.leaving is None
    states[1] = RungState("fp32", "refused", why="it sees cats")
    watching.counted(0, 1)
    assert "no rung answers any more: it sees cats" in str(watching.leaving)


def test_silence_is_no_service(slots: Slots) -> None:
    """Where nothing runs any more nothing breaks either."""
    clock = Clock()
    watching = watch(slots, clock)
    watching.attach(lambda: [RungState("int8", "resting", why="it fell over")])
    clock.now_s += 60
    watching.counted(0, 0)
    assert "no rung answers any more: it fell over" in str(watching.leaving)
    assert slots.record().state == "good"  # the one before


def test_the_rungs_are_not_asked_while_all_is_well(slots: Slots) -> None:
    """The engine answers between two frames: a governor that waited for it would wait for a hang too."""
    watching = watch(slots, Clock())
    watching.attach(lambda: pytest.fail("asked"))
    watching.counted(10, 0)


def test_a_good_bundle_is_not_given_up(slots: Slots) -> None:
    watching = watch(slots, Clock())
    watching.counted(100, 0)
    for _ in range(9):
        watching.counted(0, 1)
    assert watching.leaving is None
    assert not watching.blames(EngineDownError("down", "crashed", None))
    assert slots.record().state == "good"


def test_another_active_bundle_is_left_for(slots: Slots, bundles: dict[str, Path]) -> None:
    clock = Clock()
    watching = watch(slots, clock)
    watching.counted(100, 0)
    clock.now_s += LOOK_S
    watching.counted(1, 0)
    assert watching.leaving is None  # the record changed, by our own confirmation
    bring(slots, bundles["three"])
    watching.counted(1, 0)
    assert watching.leaving is None  # it is looked at every few seconds
    clock.now_s += LOOK_S
    watching.counted(1, 0)
    assert watching.leaving == f"the bundle {sha256_of(bundles['three'])[:12]} is active now"


def test_a_revoked_bundle_is_left_and_a_damaged_record_is_not(slots: Slots, bundles: dict[str, Path]) -> None:
    clock = Clock()
    watching = watch(slots, clock)
    (slots.root / RECORD).write_bytes(b"junk")
    clock.now_s += LOOK_S
    watching._look()
    assert watching.leaving is None
    bring(slots, bundles["two"])
    slots.revoke({sha256_of(path) for path in bundles.values()})
    watching._look()
    assert watching.leaving == "no bundle is active any more"


def test_an_unchanged_record_is_not_read(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    watching = watch(slots, clock)
    clock.now_s += LOOK_S
    watching.counted(1, 0)
    monkeypatch.setattr("shoestring.device.slots.watching.read_record", lambda _: pytest.fail("read"))
    for _ in range(5):
        clock.now_s += LOOK_S
        watching.counted(1, 0)


def test_a_stand_in_for_a_trial_that_could_not_be_counted_does_not_leave_for_it(
    slots: Slots, bundles: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would begin again for ever, as long as the disk is full."""

    def full(path: Path, data: bytes) -> None:
        raise StorageError("no room")

    clock = Clock()
    with monkeypatch.context() as patch:
        patch.setattr("shoestring.base.disk.write_bytes", full)
        watching = watch(slots, clock)
    clock.now_s += LOOK_S
    watching.counted(200, 0)
    assert watching.leaving is None
    assert slots.record().state == "trial"  # nor is it confirmed by what another bundle answered


def test_only_the_bundles_own_errors_are_blamed_on_it(slots: Slots, bundles: dict[str, Path]) -> None:
    watching = watch(slots, Clock())
    assert not watching.blames(DataError("no picture"))
    assert not watching.blames(StorageError("no disk"))
    assert not watching.blames(SignatureError("the file of trusted keys is none"))
    assert watching.blames(GoldenError("it answers otherwise"))
    assert slots.refused[0].reason == "golden"
    assert slots.begin().sha256 == sha256_of(bundles["one"])


def test_an_end_in_good_order_is_no_death(slots: Slots, bundles: dict[str, Path]) -> None:
    for _ in range(9):
        watch(slots, Clock()).ended()
    assert slots.begin().sha256 == sha256_of(bundles["two"])
    assert slots.record().starts == 1


def test_a_full_disk_confirms_later(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = watch(slots, Clock())

    def full(path: Path, data: bytes) -> None:
        raise StorageError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("shoestring.base.disk.write_bytes", full)
        with pytest.raises(StorageError, match="no room"):
            watching.counted(100, 0)
    watching.counted(0, 0)
    assert slots.record().state == "good"


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 1), st.floats(0, 30)), max_size=30))
def test_a_verdict_is_what_was_promised(seconds: list[tuple[int, int, float]]) -> None:
    """Good only after enough in a row without a fault; bad exactly at the last fault that is borne."""
    now_s, progress = 0.0, Progress(0.0)
    row, since_s, faults = 0, 0.0, 0
    for answered, failed, passed_s in seconds:
        now_s += passed_s
        progress = after(progress, answered, failed, now_s)
        faults += failed
        row, since_s = (0, now_s) if failed else (row + answered, since_s)
        wanted = False if faults >= RULES.faults else True if row >= 100 or now_s - since_s >= 60 else None
        assert verdict(progress, RULES, now_s) is wanted
