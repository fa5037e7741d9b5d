"""Power cuts, kills and refusing disks at every point of what is done with slots."""

from __future__ import annotations

from pathlib import Path

import pytest

import faults
import killing
import power
from disk_scenes import careless
from proof_scale import SCALE
from shoestring.base import disk
from shoestring.device.slots import record as record_module
from shoestring.device.slots import rules, staging
from shoestring.device.slots.record import RECORD
from slot_cuts import SCENES

WRITING = [name for name in SCENES if name != "start a good one"]
"""A start of a good bundle changes nothing."""
QUICK = ["confirm"]
"""Of which every point is tried each time; of the others some, and all of them in proof."""
LIMIT = 12 * SCALE
"""States at one place of a log."""
PROOF = SCALE > 1
WRITE = record_module.write_record


def _stride(name: str) -> int:
    return 1 if PROOF or name in QUICK else 41


@pytest.mark.parametrize("name", SCENES)
def test_a_power_cut_leaves_one_of_the_states_that_may_be(name: str) -> None:
    assert power.cut(SCENES[name].scenario(), seed=1, limit=LIMIT) >= 2


@pytest.mark.parametrize("name", WRITING if PROOF else QUICK)
def test_each_fsync_is_needed_but_those_that_are_named(name: str) -> None:
    assert tuple(power.drop_each(SCENES[name].scenario(), seed=1, limit=30)) == SCENES[name].spare


@pytest.mark.parametrize("name", ["activate a third", "roll back a trial"])
def test_a_second_cut_while_the_device_starts_again(name: str) -> None:
    assert SCENES[name].cut_twice(seed=3, first=3 * SCALE) > 3


@pytest.mark.parametrize("name", SCENES)
def test_a_kill_at_a_system_call_leaves_one_of_the_states_that_may_be(name: str) -> None:
    kills = killing.at_every_call(SCENES[name].work(), stride=_stride(name))
    assert kills.killed == -(-kills.calls // _stride(name))


@pytest.mark.parametrize("name", ["activate a third", "roll back a trial"])
def test_a_kill_at_any_moment_leaves_one_of_the_states_that_may_be(name: str) -> None:
    killing.at_random(SCENES[name].work(), 2 * SCALE, seed=2)  # which checks what each left


@pytest.mark.parametrize("name", WRITING if PROOF else QUICK)
def test_a_disk_that_refuses_leaves_one_of_the_states_that_may_be(name: str) -> None:
    assert faults.at_every_point(SCENES[name].attempt()) > 50


@pytest.mark.parametrize("name", WRITING if PROOF else ["activate a second", *QUICK])
def test_ctrl_c_at_any_call_leaves_one_of_the_states_that_may_be(name: str) -> None:
    assert faults.interrupted_at_every_point(SCENES[name].attempt()) >= 10


def _removed_first(root: Path, record: rules.Record) -> None:
    """Takes the old record away before the new one is there."""
    disk.remove(root / RECORD)
    WRITE(root, record)


def _careless_copy(source: Path, target: Path, _size_bytes: int) -> None:
    """Leaves it to the file system when the bytes are safe."""
    careless(target, source.read_bytes())


def test_saboteur_a_record_that_is_removed_first_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    SCENES["confirm"].ends  # noqa: B018 - of the sound one
    for module in (record_module, staging):
        monkeypatch.setattr(module, "write_record", _removed_first)
    monkeypatch.setattr("shoestring.device.slots.slots.write_record", _removed_first)
    with pytest.raises(power.BrokenError):
        power.cut(SCENES["confirm"].scenario(), seed=1, limit=30)
    with pytest.raises(AssertionError, match="killed before"):
        killing.at_every_call(SCENES["confirm"].work())


def test_saboteur_a_bundle_that_is_not_synced_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoestring.device.slots.slots.copy_in", _careless_copy)
    with pytest.raises(power.BrokenError):
        power.cut(SCENES["activate a second"].scenario(), seed=1, limit=30)
