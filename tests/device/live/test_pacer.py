"""The rate is kept: no faster on average, no burst after a pause."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoestring.device.live.pacer import Pacer


def test_the_first_example_is_taken_at_once() -> None:
    assert Pacer().due(123.0, 5.0)


@given(rate=st.floats(0.1, 50.0), fps=st.floats(5.0, 60.0), seed=st.integers(0, 99))
def test_the_rate_is_kept_with_jittering_frames(rate: float, fps: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = np.sort(np.arange(0, 30, 1 / fps) + rng.uniform(0, 0.4 / fps, len(np.arange(0, 30, 1 / fps))))
    pacer = Pacer()
    taken = [now for now in times if pacer.due(float(now), rate)]
    assert len(taken) <= 30 * rate + 2
    if fps >= 1.5 * rate:
        assert len(taken) >= 30 * rate * 0.9 - 2


def test_nothing_is_made_up_for_after_a_pause() -> None:
    pacer = Pacer()
    assert pacer.due(0.0, 10.0)
    taken = sum(pacer.due(60.0 + number / 1000, 10.0) for number in range(90))
    assert taken == 1


def test_a_higher_rate_holds_from_now_on() -> None:
    pacer = Pacer()
    assert pacer.due(0.0, 0.01)
    assert not pacer.due(1.0, 0.01)
    assert pacer.due(1.1, 10.0)


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_rest_is_rest(rate: float) -> None:
    pacer = Pacer()
    assert not any(pacer.due(float(now), rate) for now in range(10))
    assert pacer.due(11.0, 1.0)
