"""The motion gate: shut while nothing moves, open for whatever does."""

from __future__ import annotations

import numpy as np
import pytest

from shoestring.device.pipelines import motion
from shoestring.device.pipelines.motion import Gating, MotionGate, block_means

HEIGHT, WIDTH = 288, 384


def scene(seed: int, noise: float = 3.0, light: float = 0.0, person: tuple[int, int] | None = None, dark: int = 40):
    """A room with sensor noise; a person is 16 x 40 pixels and darker by so much."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    room = 110 + 40 * np.sin(columns / 30) + 30 * np.cos(rows / 22) + light
    if person is not None:
        x, y = person
        room[y : y + 40, x : x + 16] -= dark
    grain = np.random.default_rng(seed).normal(0, noise, (HEIGHT, WIDTH, 3))
    return np.clip(room[:, :, None] + grain, 0, 255).astype(np.uint8)


def asked(gate: MotionGate, frame: np.ndarray, at_s: float) -> None:
    gate.still(frame, at_s)
    gate.asked(at_s)


@pytest.mark.parametrize("noise", [0.0, 3.0, 12.0])
def test_noise_alone_never_opens_it(noise: float) -> None:
    gate = MotionGate(Gating(force_s=1e9))
    asked(gate, scene(0, noise), 0)
    assert all(gate.still(scene(seed, noise), seed / 10) for seed in range(1, 60))


@pytest.mark.parametrize("noise", [0.0, 3.0, 6.0])
def test_a_person_who_comes_in_or_walks_on_opens_it(noise: float) -> None:
    gate = MotionGate(Gating(force_s=1e9))
    asked(gate, scene(0, noise), 0)
    assert not gate.still(scene(1, noise, person=(5, 100)), 0.1)
    asked(gate, scene(2, noise, person=(100, 100)), 0.2)
    assert not gate.still(scene(3, noise, person=(112, 100)), 0.3)


def test_slow_motion_adds_up_until_it_shows() -> None:
    gate = MotionGate(Gating(force_s=1e9))
    asked(gate, scene(0, person=(100, 100), dark=18), 0)
    steps = [gate.still(scene(shift, person=(100 + shift, 100), dark=18), shift) for shift in range(1, 9)]
    assert steps[0] and not steps[-1]


def test_a_gate_that_compares_with_the_frame_before_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = MotionGate.still

    def forgetful(self: MotionGate, frame: np.ndarray, at_s: float) -> bool:
        answer = honest(self, frame, at_s)
        self._reference = self._last
        return answer

    monkeypatch.setattr(MotionGate, "still", forgetful)
    with pytest.raises(AssertionError):
        test_slow_motion_adds_up_until_it_shows()


def test_light_that_changes_all_over_is_no_motion_but_a_person_in_it_is() -> None:
    gate = MotionGate(Gating(force_s=1e9))
    asked(gate, scene(0), 0)
    assert gate.still(scene(1, light=15), 0.1)
    assert not gate.still(scene(2, light=15, person=(200, 120)), 0.2)


def test_the_model_is_asked_at_least_every_so_often() -> None:
    gate = MotionGate(Gating(force_s=2.0))
    asked(gate, scene(0), 10.0)
    assert gate.still(scene(1), 11.9)
    assert not gate.still(scene(2), 12.0)


def test_before_the_first_answer_and_after_another_size_it_is_open() -> None:
    gate = MotionGate()
    assert not gate.still(scene(0), 0)
    gate.asked(0)
    assert not gate.still(scene(1)[:200], 0.1)


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (300, 7), (47, 61), (1080, 1920), (2160, 3840)])
def test_any_size_gives_means_of_equal_blocks(shape: tuple[int, int]) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    picture[..., 1] = 77
    means = block_means(picture, 48)
    assert means.size and (means == 77).all() and max(means.shape) <= 2 * 48


def test_a_mean_is_that_of_its_own_block() -> None:
    picture = np.zeros((96, 96, 3), np.uint8)
    picture[32:34, 60:62, 1] = 200
    rows, columns = np.nonzero(motion.block_means(picture, 48))
    assert (rows.tolist(), columns.tolist()) == ([16], [30])
