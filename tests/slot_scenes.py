"""Slots and small bundles for tests: sound ones that differ, and the scenes that a device goes through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from null_bundles import make_null_bundle
from shoestring.bundle import open_bundle
from shoestring.device.slots import Slots, activate_bundle

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from shoestring.bundle import Bundle
    from shoestring.device.slots import Held, ReplayLimits

NAMES = ("one", "two", "three", "four")
WALL_S = 1_800_000_000.0


def make_bundles(folder: Path, names: tuple[str, ...] = NAMES) -> dict[str, Path]:
    """Sound bundles, each another one."""
    for place, name in enumerate(names):
        make_null_bundle(folder / f"{name}.shoe", busy_us=place)
    return {name: folder / f"{name}.shoe" for name in names}


def make_slots(root: Path) -> Slots:
    """Slots whose clock stands still."""
    return Slots(root, lambda: WALL_S)


def sha256_of(path: Path) -> str:
    with open_bundle(path) as bundle:
        return bundle.sha256


def no_replay(bundle: Bundle, absent: Collection[str], limits: ReplayLimits) -> tuple[str, ...]:
    """For tests that are about something else than the golden set."""
    return ()


def bring(slots: Slots, path: Path) -> Held:
    """Stage and activate a bundle, with nothing that speaks against it."""
    return slots.activate(slots.stage(path))


def settle(slots: Slots, path: Path) -> Held:
    """A bundle that was brought, started and confirmed."""
    bring(slots, path)
    held = slots.begin()
    slots.confirm(held)
    return held


def by_hand(slots: Slots, path: Path) -> Held:
    """All checks but the replay, of an unsigned bundle."""
    return activate_bundle(slots, path, None, allow_unsigned=True, replay=no_replay)
