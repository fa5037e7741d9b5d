"""`shoestring run` of a camera on slots: it confirms what serves, and leaves for another bundle between two frames."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from null_bundles import CHEAP, DEAR, MIDDLE, make_null_bundle
from shoestring.cli import slot_options
from shoestring.cli.main import main
from shoestring.device.pipelines.nouns import Frame
from slot_scenes import bring, make_bundles, make_slots, settle, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MOST_S = 60.0


class Camera:
    """Twenty pictures a second of noise, until it is closed; `each` is called with the number of every one."""

    live = True
    rate: float | None = 20.0
    dropped = 0

    def __init__(self, each: Callable[[int], None]) -> None:
        self._each, self._closed = each, False

    def __iter__(self) -> Iterator[Frame]:
        rng, begun_s, number = np.random.default_rng(0), time.monotonic(), 0
        while not self._closed and time.monotonic() - begun_s < MOST_S:
            time.sleep(0.05)
            self._each(number)
            yield Frame(number, time.monotonic(), rng.integers(0, 255, (16, 16, 3), dtype=np.uint8), (16, 16))
            number += 1

    def close(self) -> None:
        self._closed = True


class BegunAgainError(Exception):
    """In the place of another process."""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], None]:
    """Puts a camera in the place of /dev/video0, and notes a new beginning instead of making it."""

    def again() -> None:
        raise BegunAgainError

    def put(each: Callable[[int], None]) -> None:
        monkeypatch.setattr("shoestring.device.pipelines.sources.open_source", lambda *_, **__: Camera(each))
        monkeypatch.setattr(slot_options, "begin_again", again)
        monkeypatch.setattr("shoestring.device.slots.watching.LOOK_S", 0.2)

    return put


def test_a_camera_confirms_and_leaves(tmp_path, bundles, camera, capsys) -> None:
    slots, brought = make_slots(tmp_path / "slots"), []
    bring(slots, bundles["one"])

    def each(number: int) -> None:
        if not brought and slots.record().state == "good":
            brought.append(bring(slots, bundles["two"]))

    camera(each)
    with pytest.raises(BegunAgainError):
        main(["run", "--slots", str(slots.root), "--trial-answers", "5", "/dev/video0"])
    said = capsys.readouterr().err
    assert "served well: it is good from now on" in said
    assert f"the bundle {sha256_of(bundles['two'])[:12]} is active now" in said
    assert slots.record().starts == 0  # the next process counts its own


def test_a_trial_that_does_not_start_gives_way(tmp_path, bundles, camera, capsys) -> None:
    slots, bad = make_slots(tmp_path / "slots"), tmp_path / "bad.shoe"
    make_null_bundle(bad, wrong=(CHEAP, MIDDLE, DEAR))
    settle(slots, bundles["one"])
    bring(slots, bad)
    camera(lambda _: None)
    with pytest.raises(BegunAgainError):
        main(["run", "--slots", str(slots.root), "/dev/video0"])
    assert "the one before is active again" in capsys.readouterr().err
    assert slots.begin().sha256 == sha256_of(bundles["one"])
