"""However often the keys changed while a device was off, it finds its way to the newest, and nobody leads it astray."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

import pytest

from proof_scale import SCALE
from repository_attacks import Scene
from repository_device import Device
from signed_repository import Workshop

if TYPE_CHECKING:
    from pathlib import Path

MOST = 64
ROTATIONS = range(1, MOST + 1, 1 if SCALE > 1 else 9)


@cache
def rotated() -> Workshop:
    """A workshop with MOST roots after the first, each with other keys for some role; a release with each.

    Its state n of the history is as it was after n - 1 rotations.
    """
    chance = random.Random(MOST)
    shop = Workshop()
    states: list[dict[str, bytes]] = []
    shop.release("0")
    states.append(dict(shop.files))
    for number in range(1, MOST + 1):
        role = chance.choice(["root", "targets", "snapshot", "timestamp"])
        pool = [*shop.keys[role], *(f"{role}-{number}-{i}" for i in range(3))]
        names = chance.sample(pool, chance.randint(1, 4))
        shop.rotate(role, names, chance.randint(1, len(names)))
        shop.release(str(number))
        states.append(dict(shop.files))
    shop.history = states
    return shop


@pytest.mark.parametrize("times", ROTATIONS)
def test_from_any_old_version(tmp_path: Path, no_fsync: None, times: int) -> None:
    """SCALE devices that were off since some version; some were delivered with its root, some grew up with the first.

    Every fourth one meets a mirror first that forged one of the roots on its way.
    """
    for number in range(SCALE):
        chance = random.Random(1_000 * times + number)
        since = chance.randrange(times)
        (tmp_path / str(number)).mkdir()
        scene = Scene(tmp_path / str(number) / "store")
        scene.workshop = rotated()
        first = since + 1 if (number + times) % 2 else 1
        device = Device(tmp_path / str(number), scene.workshop.files[f"metadata/{first}.root.json"])
        scene.replay(1 + since)
        assert device.poll(scene).outcome == "ok"
        assert _root(device, first) == since + 1
        scene.replay(1 + times)
        if (number + times) % 4 == 3:
            forged = chance.randint(since + 2, times + 1)
            scene.answer(f"metadata/{forged}.root.json", find='"sig": "', to='"sig": "00')
            seen = device.poll(scene)
            if seen.outcome == "bad":  # a root with more signatures than it needs can do without one
                assert seen.rule == "signature"
                assert _root(device, first) == forged - 1
            scene.overlay = {}
        assert device.poll(scene).outcome == "ok"
        assert _root(device, first) == times + 1
        assert device.counter == times + 1
        assert device.running == f"bundle {times} ".encode() * 50
        scene.replay(1 + chance.randrange(times))
        assert device.poll(scene).outcome == "bad", "nothing that the old keys signed comes back"
        assert device.counter == times + 1


def _root(device: Device, first: int) -> int:
    """The newest root that it keeps, which a poll has verified."""
    kept = [int(path.name.split(".")[1]) for path in device.store.glob("metadata/root.*.json")]
    return max([first, *kept])
