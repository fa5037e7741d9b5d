"""Slots in the state that most tests begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slot_scenes import bring, make_bundles, make_slots, settle

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.device.slots import Slots


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def slots(tmp_path: Path, bundles: dict[str, Path]) -> Slots:
    """`one` is good, `two` is on trial."""
    made = make_slots(tmp_path / "slots")
    settle(made, bundles["one"])
    bring(made, bundles["two"])
    return made
