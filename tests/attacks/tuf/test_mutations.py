"""Files of a repository with anything changed in them, signed again or not: our refusal, or what was signed for."""

from __future__ import annotations

import copy
import random
from typing import TYPE_CHECKING, Any

import pytest

from proof_scale import SCALE
from repository_attacks import Scene
from repository_device import OUTCOMES, Device, held_to
from shoestring.trust.repository.layout import metadata_path
from signed_repository import WAVE, sign

if TYPE_CHECKING:
    from pathlib import Path

TREES = 12 * SCALE
BYTES = 12 * SCALE
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**62, 10**17, "", "0", "x" * 300, "\x00", "\u202e", [], {}, [[]], [None], {"": {}},
    ["a", "a"], {"sha256": "0" * 64}, {"version": 1}, "2030-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-99-99",
)  # fmt: skip


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every part of a tree."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way] * bool(way) + [found for name, item in inner for found in places(item, (*way, name))]


def mutated(signed: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """A copy with one to three parts replaced, removed, renamed or doubled."""
    made = copy.deepcopy(signed)
    for _ in range(chance.randint(1, 3)):
        way = chance.choice(places(made) or [("version",)])
        *above, last = way
        place: Any = made
        for name in above:
            place = place[name]
        deed = chance.choice(["replace", "replace", "remove", "rename", "double"])
        if deed == "remove":
            del place[last]
        elif isinstance(place, dict) and deed == "rename":
            place[chance.choice(["", "x", "version", "keys", "hashes", "targets.json"])] = place.pop(last)
        elif isinstance(place, list) and deed == "double":
            place.append(copy.deepcopy(place[last]))
        else:
            place[last] = copy.deepcopy(chance.choice(ODD))
    return made


def device_of(folder: Path) -> tuple[Scene, Device]:
    """A device that runs the first release of two."""
    scene = Scene(folder / "store")
    scene.release("one")
    device = Device(folder, scene.workshop.root)
    assert device.poll(scene).outcome == "ok"
    scene.release("two")
    return scene, device


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets", WAVE])
def test_signed_again(tmp_path: Path, role: str) -> None:
    """Whoever holds a role's keys may write anything in it: no error but ours, and nothing older is trusted.

    What names the changed file is signed anew too, so that the change is looked at.
    """
    for seed in range(TREES):
        chance = random.Random(f"{role} {seed}")
        (tmp_path / str(seed)).mkdir()
        scene, device = device_of(tmp_path / str(seed))
        shop = scene.workshop
        if role == "root":
            shop.bump("root")
        made = mutated(shop.signed[role], chance)
        names = shop.keys[role][: shop.threshold[role]]
        version = None if role == "timestamp" else shop.signed[role]["version"]
        scene.overlay[metadata_path(role, version)] = sign(made, names)
        if role == "snapshot":
            scene.forged[role], scene.forged_bytes[role] = (
                shop.signed[role],
                scene.overlay[metadata_path(role, version)],
            )
            scene.forge("timestamp", ["ts1"], [{"at": ["meta", "snapshot.json"], "to": "$file:snapshot"}])
        _ends_well(scene, device, f"{role} {seed}", other_keys=role == "root")


def test_changed_on_the_way(tmp_path: Path) -> None:
    """Bytes changed, left out, doubled, in any file: never another release than one that was signed."""
    for seed in range(BYTES):
        chance = random.Random(seed)
        (tmp_path / str(seed)).mkdir()
        scene, device = device_of(tmp_path / str(seed))
        for path in chance.sample(sorted(scene.workshop.files), chance.randint(1, 3)):
            data = bytearray(scene.workshop.files[path])
            for _ in range(chance.choice([1, 1, 1, 5])):
                start = chance.randrange(len(data))
                stop = start + chance.choice([1, 1, 2, 20])
                piece = chance.choice([b"", bytes([chance.randrange(256)]), bytes(data[start:stop]) * 2])
                data[start:stop] = piece
                data = data or bytearray(b"0")
            scene.overlay[path] = bytes(data)
        _ends_well(scene, device, str(seed))
        assert device.running in (b"bundle one " * 50, b"bundle two " * 50)


def _ends_well(scene: Scene, device: Device, words: str, other_keys: bool = False) -> None:
    """One of the outcomes that there are; nothing went back; with honest files it goes on, or is told why not.

    `other_keys`: the root may have given timestamp and snapshot others, whose versions start anew.
    """
    root = device.trusted(scene).root
    wrong = held_to(device, scene, {"expect": "any", "recovers": other_keys})
    assert device.last is not None
    assert device.last.root >= root, words
    kept = [line for line in wrong if not line.startswith(("expected any", "expected versions", "it serves a bundle"))]
    assert kept == [], words
    assert device.history[-1].outcome in OUTCOMES, words
    scene.honest()
    assert device.poll(scene).outcome in OUTCOMES, words
