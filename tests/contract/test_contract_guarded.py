"""Every runtime in a guarded process: the same answers, and no file or deadline that takes us down with it."""

from __future__ import annotations

import numpy as np
import pytest

from shoestring.base.errors import EngineError, EngineFaultError
from shoestring.runtimes import guarded
from shoestring.runtimes.guarded import GuardedRuntime, Limits
from shoestring.runtimes.judge import judge

LIMITS = Limits(load_s=120, run_s=60, memory_bytes=1_500_000_000)


def test_guarded_answers_are_the_same(case, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(case.model)
    with case.load() as session:
        expected = session.run(case.form.feeds())
    for model in (path, case.model):
        with guarded.load(case.name, model, 1, LIMITS) as session:
            assert (session.inputs, session.outputs) == (case.form.inputs, case.form.outputs)
            answers = session.run(case.form.feeds())
            assert all(one > 0 for one in session.time_block(3))
        for name, value in expected.items():
            np.testing.assert_array_equal(value, answers[name])
    trial = judge(case.name, path, case.form.feeds(), expected, LIMITS)
    assert trial.ok and trial.difference == 0.0, trial.reason


def test_the_guard_tells_the_same_version(case):
    assert GuardedRuntime(case.name).version() == case.runtime.version()


def test_a_load_that_takes_too_long_ends(case):
    with pytest.raises(EngineFaultError) as caught:
        guarded.load(case.name, case.model, 1, Limits(load_s=0.001))
    assert caught.value.fault == "hung"
    assert case.name in caught.value.message and "0.001 s" in caught.value.message


def test_too_little_memory_is_told(case):
    with pytest.raises(EngineFaultError) as caught:
        guarded.load(case.name, case.model, 1, Limits(memory_bytes=1_000_000))
    assert caught.value.fault == "memory"
    assert case.name in caught.value.message


def damaged(model: bytes, seed: int) -> bytes:
    """A model with a few of its bytes changed: most of it makes sense, which takes a parser further than noise does."""
    generator = np.random.default_rng(seed)
    data = bytearray(model)
    for place in generator.integers(0, len(data), max(1, len(data) // 100)):
        data[place] = generator.integers(0, 256)
    return bytes(data)


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_model_takes_nobody_down(case, seed):
    """It is refused, or breaks its own process, or was damaged where nobody looks."""
    try:
        with guarded.load(case.name, damaged(case.model, seed), 1, LIMITS) as session:
            session.run({spec.name: np.zeros([n or 1 for n in spec.shape], spec.dtype) for spec in session.inputs})
    except EngineError as error:
        assert "\n" not in error.message
