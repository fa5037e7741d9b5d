"""A disk that refuses at any call of a refresh: our error, nothing older, and the next refresh ends well."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

import faults
from proof_scale import SCALE
from shoestring.trust.repository import Repository, Trusted
from signed_repository import DAY_S, DEVICE, GROUP, NOW_S, MemorySource, Workshop

if TYPE_CHECKING:
    from pathlib import Path


def test_at_every_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "CODES", faults.CODES if SCALE > 1 else (errno.ENOSPC,))
    shop = Workshop()
    shop.release("one")
    shop.now_s += DAY_S
    shop.release("two")

    def client(root: Path, files: dict[str, bytes]) -> Repository:
        return Repository(root / "store", MemorySource(files), shop.root, lambda: NOW_S)

    def prepare(root: Path) -> None:
        client(root, shop.history[0]).release(GROUP, DEVICE)

    def act(root: Path) -> None:
        client(root, shop.files).release(GROUP, DEVICE)

    def state(root: Path) -> tuple[Trusted, int]:
        repository = client(root, shop.files)
        return repository.trusted, repository.floor_s

    steps = (Trusted(1, 1, 1, 1), Trusted(1, 2, 1, 1), Trusted(1, 2, 2, 2))
    points = faults.at_every_point(
        faults.Attempt(prepare, act, state, between=lambda seen: seen in [(step, NOW_S) for step in steps])
    )
    print(f"{points} points")
    assert points > 60
