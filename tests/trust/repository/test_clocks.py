"""Whatever a clock says, nothing older is taken; once it is right, nothing is left of its having been wrong."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from proof_scale import SCALE
from repository_attacks import Scene
from repository_device import Device, held_to
from shoestring.base.errors import StaleError
from shoestring.trust.floor import Floor
from shoestring.trust.repository import Repository
from signed_repository import DAY_S, date

if TYPE_CHECKING:
    from pathlib import Path

CLOCKS: tuple[str | float, ...] = ("right", "none", "1970", -3650, 3650, -1, 1, -40, 40)


@pytest.mark.parametrize("seed", range(7 * SCALE))
def test_a_story_of_wrong_clocks_and_old_copies(tmp_path: Path, no_fsync: None, seed: int) -> None:
    chance = random.Random(seed)
    home = tmp_path / "home"
    home.mkdir()
    scene = Scene(home / "store")
    device = Device(home, scene.workshop.root)
    scene.release("0")
    for step in range(12):
        event = chance.choice(["release", "days", "clock", "clock", "replay", "honest", "poll"])
        if event == "release":
            scene.release(str(step))
        elif event == "days":
            scene.days_pass(chance.choice([0.5, 3, 8, 35]))
        elif event == "clock":
            scene.clock(chance.choice(CLOCKS))
        elif event == "replay":
            scene.replay(chance.randint(1, len(scene.workshop.history)))
        elif event == "honest":
            scene.honest()
        _poll(scene, device)
    scene.honest()
    scene.clock("right")
    scene.resign()
    scene.release("last")
    assert device.poll(scene).outcome == "ok", "no clock of the past can keep a device from what is new"
    assert device.counter == scene.workshop.counter


def _poll(scene: Scene, device: Device) -> None:
    """Nothing goes back, and the floor is never beyond the truth nor below where it was."""
    before, counter = Floor(device.store / "floor.json").value_s, device.counter
    wrong = held_to(device, scene, {"expect": "any"})
    assert [words for words in wrong if not words.startswith(("expected any", "it serves a bundle"))] == []
    assert device.counter >= counter
    after = Floor(device.store / "floor.json").value_s
    assert before <= after <= scene.workshop.now_s
    seen = device.history[-1]
    ahead = scene.now_s() - scene.workshop.now_s
    if seen.outcome == "bad":
        assert scene.base is not None, f"an honest copy is never bad: {seen}"
    if seen.outcome == "stale" and scene.base is None and not ahead > 0:
        now = date(scene.workshop.now_s)
        assert any(signed["expires"] <= now for signed in scene.workshop.signed.values()), "nothing is over"


@pytest.mark.parametrize("clock", CLOCKS)
def test_fresh_metadata_with_any_clock(tmp_path: Path, no_fsync: None, clock: str | float) -> None:
    """A clock that is behind costs nothing; one that is ahead by more than a timestamp lives is told as stale."""
    scene = Scene(tmp_path / "store")
    device = Device(tmp_path, scene.workshop.root)
    scene.release("one")
    assert device.poll(scene).outcome == "ok"
    scene.clock(clock)
    scene.release("two")
    seen = device.poll(scene)
    late = isinstance(clock, int) and clock > 7
    assert seen.outcome == ("stale" if late else "ok")
    if late:
        assert seen.late_s > 0
    scene.clock("right")
    assert device.poll(scene).outcome == "ok"


def test_the_floor_goes_up_by_signed_times_alone(tmp_path: Path) -> None:
    floor = Floor(tmp_path / "floor.json")
    assert floor.reference_s(5.0) == 5.0
    floor.raise_to(1_000)
    floor.raise_to(10)
    assert Floor(tmp_path / "floor.json").value_s == 1_000
    assert [floor.reference_s(clock) for clock in (0.0, 2_000.0, float("nan"))] == [1_000.0, 2_000.0, 1_000.0]


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"floor_s":9}', b'{"floor_s":-9,"format":1}', b'{"floor_s":9,"format":2}', b"\0" * 40]
)
def test_a_damaged_floor_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "floor.json").write_bytes(data)
    assert Floor(tmp_path / "floor.json").value_s == 0


def test_what_was_refreshed_is_used_until_its_time_is_over(tmp_path: Path, no_fsync: None) -> None:
    scene = Scene(tmp_path / "store")
    scene.release("one")
    repository = Repository(tmp_path / "store", scene.serve(), scene.workshop.root, scene.now_s)
    repository.refresh()
    scene.down("*")
    scene.days_pass(6)
    scene.honest()
    scene.down("metadata/timestamp.json")
    scene.serve()
    release = repository.release("cam", "porch")
    assert release is not None and release.name == "one"
    scene.days_pass(2)
    with pytest.raises(StaleError) as told:
        repository.release("cam", "porch")
    assert told.value.late_s == DAY_S
