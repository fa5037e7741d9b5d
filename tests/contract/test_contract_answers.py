"""What every runtime promises of its answers, checked on each that is installed here."""

from __future__ import annotations

import numpy as np
import pytest

from runtime_forms import FORMS, null_model
from shoestring.runtimes import registry


def test_it_names_itself_and_its_version(case):
    assert case.runtime.name == case.name
    assert case.runtime.version().strip()
    assert case.runtime.version() == case.runtime.version()


def test_inputs_and_outputs_are_told(case):
    with case.load() as session:
        assert session.inputs == case.form.inputs
        assert session.outputs == case.form.outputs


@pytest.mark.parametrize("length", [1, 2, 5])
def test_answers_have_the_promised_names_types_and_shapes(case, length):
    with case.load() as session:
        for _ in range(2):
            answers = session.run(case.form.feeds(length))
            assert list(answers) == [spec.name for spec in case.form.outputs]
            for spec in case.form.outputs:
                shape = tuple(length if one is None else one for one in spec.shape)
                assert (answers[spec.name].dtype, answers[spec.name].shape) == (np.dtype(spec.dtype), shape)
            if case.form.free:
                session.run(case.form.feeds(length + 1))  # the length may change from run to run


def steady(load, feeds) -> bool:
    """Whether the same inputs get the same answers in every run of every session."""
    answers = []
    for _ in range(2):
        with load() as session:
            answers += [session.run(feeds), session.run(feeds)]
    return all(np.array_equal(answers[0][name], other[name]) for other in answers for name in answers[0])


@pytest.mark.parametrize("threads", [1, 2])
def test_same_inputs_same_answers_over_runs_and_loads(case, threads):
    assert steady(lambda: case.load(threads), case.form.feeds())


def test_answers_that_change_are_noticed():
    runtime = registry.get("null")
    assert not steady(lambda: runtime.load(null_model(unsteady=True), 1), FORMS["null"].feeds())


def test_other_inputs_other_answers(case):
    given = case.form.feeds()
    with case.load() as session:
        one = session.run(given)
        two = session.run({name: value + np.asarray(1, value.dtype) for name, value in given.items()})
    for spec in case.form.outputs:
        assert not np.array_equal(one[spec.name], two[spec.name])


def test_answers_stay_when_the_session_goes_on(case):
    """They are the caller's: the next run and the end of the session leave them alone."""
    with case.load() as session:
        first = session.run(case.form.feeds())
        kept = {name: value.copy() for name, value in first.items()}
        session.run(case.form.feeds(seed=8))
    with case.load() as other:
        other.run(case.form.feeds(seed=9))
    for name, value in kept.items():
        np.testing.assert_array_equal(first[name], value)


def test_two_sessions_do_not_disturb_each_other(case):
    with case.load() as one, case.load() as two:
        expected = one.run(case.form.feeds())
        two.run(case.form.feeds(seed=8))
        again = one.run(case.form.feeds())
        two.close()
        last = one.run(case.form.feeds())
    for name, value in expected.items():
        np.testing.assert_array_equal(value, again[name])
        np.testing.assert_array_equal(value, last[name])


def test_arrays_that_are_not_contiguous_mean_the_same(case):
    given = case.form.feeds()
    with case.load() as session:
        expected = session.run(given)
        turned = session.run({name: np.asfortranarray(value) for name, value in given.items()})
        wide = {name: np.repeat(value, 2, axis=-1)[..., ::2] for name, value in given.items()}
        spread = session.run(wide)
    for name, value in expected.items():
        np.testing.assert_array_equal(value, turned[name])
        np.testing.assert_array_equal(value, spread[name])


def left_alone(session, form) -> bool:
    """Whether a run leaves its feeds as they were."""
    given = form.feeds()
    session.run(given)
    return all(np.array_equal(given[name], value) for name, value in form.feeds().items())


def test_feeds_are_left_as_they_were(case):
    with case.load() as session:
        assert left_alone(session, case.form)


def test_feeds_that_are_written_to_are_noticed():
    with registry.get("null").load(null_model(scribble=True), 1) as session:
        assert not left_alone(session, FORMS["null"])


def test_feeds_may_be_read_only(case):
    given = case.form.feeds()
    for value in given.values():
        value.setflags(write=False)
    with case.load() as session:
        session.run(given)


def test_a_file_and_its_bytes_are_the_same_model(case, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(case.model)
    with case.load() as one, case.runtime.load(path, 1) as two:
        expected, answers = one.run(case.form.feeds()), two.run(case.form.feeds())
    for name, value in expected.items():
        np.testing.assert_array_equal(value, answers[name])
