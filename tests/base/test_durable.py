"""Every way of base.disk to write, under power cuts and on disks that refuse."""

from __future__ import annotations

import pytest

import faults
import power
from disk_scenes import SCENES

each = pytest.mark.parametrize("name", SCENES)


@each
def test_a_power_cut_leaves_old_or_new_and_what_is_done_stays(name: str) -> None:
    assert power.cut(SCENES[name].scenario(), seed=1) >= 3


@each
def test_each_fsync_is_needed(name: str) -> None:
    assert power.drop_each(SCENES[name].scenario(), seed=1) > 0


@each
def test_a_disk_that_refuses_leaves_old_or_new(name: str) -> None:
    assert faults.at_every_point(SCENES[name].attempt()) > 20
