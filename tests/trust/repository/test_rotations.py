"""However often the keys changed while a device was off, it finds its way to the newest, and nobody leads it astray."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from proof_scale import SCALE
from repository_attacks import Scene
from repository_device import Device

if TYPE_CHECKING:
    from pathlib import Path

MOST = 64
ROTATIONS = range(1, MOST + 1, 1 if SCALE > 1 else 9)


def rotated(folder: Path, chance: random.Random, times: int) -> Scene:
    """A workshop with that many roots after the first, each with other keys for some role; a release with each."""
    scene = Scene(folder / "store")
    scene.release("0")
    for number in range(1, times + 1):
        role = chance.choice(["root", "targets", "snapshot", "timestamp"])
        shop = scene.workshop
        pool = [*shop.keys[role], *(f"{role}-{number}-{i}" for i in range(3))]
        names = chance.sample(pool, chance.randint(1, 4))
        shop.rotate(role, names, chance.randint(1, len(names)))
        scene.days_pass(1)
        scene.release(str(number))
    return scene


@pytest.mark.parametrize("times", ROTATIONS)
def test_from_any_old_version(tmp_path: Path, no_fsync: None, times: int) -> None:
    """SCALE devices, each off since some version; every other one first meets a mirror with one root forged."""
    chance = random.Random(times)
    scene = rotated(tmp_path, chance, times)
    for number in range(SCALE):
        (tmp_path / str(number)).mkdir()
        device = Device(tmp_path / str(number), scene.workshop.root)
        scene.disk = device.store
        since = chance.randrange(times)
        scene.honest()
        scene.replay(1 + next(i for i, files in enumerate(scene.workshop.history) if _last(files) > since))
        now_s, scene.clock_s = scene.workshop.now_s, 3_600.0  # it was right then; what it says now comes below
        assert device.poll(scene).outcome == "ok"
        assert device.trusted(scene).root == since + 1
        scene.clock_s = now_s
        scene.honest()
        if number % 2:
            forged = chance.randint(since + 2, times + 1)
            scene.answer(f"metadata/{forged}.root.json", find='"sig": "', to='"sig": "00')
            seen = device.poll(scene)
            if seen.outcome == "bad":  # a root with more signatures than it needs can do without one
                assert seen.rule == "signature"
                assert device.trusted(scene).root == forged - 1
            scene.honest()
        assert device.poll(scene).outcome == "ok"
        assert device.trusted(scene).root == times + 1
        assert device.counter == times + 1
        assert device.running == scene.workshop.bundle


def _last(files: dict[str, bytes]) -> int:
    """The newest root of a state."""
    return max(int(name.split("/")[1].split(".")[0]) for name in files if name.endswith(".root.json"))
