"""What every runtime refuses, and how: one line that names the thing, from our own tree of errors, and silence."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from runtime_forms import FORMS
from shoestring.base.errors import EngineError, MissingExtraError, UsageError
from shoestring.runtimes import registry


def other_type(value):
    return value.astype(np.float64 if value.dtype != np.float64 else np.float32)


def changed(feeds, name, change):
    return {**feeds, name: change(feeds[name])}


# For each mistake: how to make it out of good feeds and the name of the input, and words of the refusal.
WRONG = {
    "missing input": (lambda f, n: {k: v for k, v in f.items() if k != n}, "no array was given for input {name!r}"),
    "unknown input": (lambda f, n: {**f, "stranger": f[n]}, "no input 'stranger'"),
    "wrong dtype": (lambda f, n: changed(f, n, other_type), "takes {dtype}, got float"),
    "other byte order": (lambda f, n: changed(f, n, lambda v: v.astype(v.dtype.newbyteorder())), "takes {dtype}, got"),
    "wrong length": (lambda f, n: changed(f, n, lambda v: np.concatenate([v, v], -1)), "takes shape"),
    "wrong rank": (lambda f, n: changed(f, n, lambda v: v[None]), "takes shape"),
    "no array": (lambda f, n: changed(f, n, lambda v: v.tolist()), "was given a list"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_feeds_that_do_not_fit_are_refused_in_the_same_words(case, wrong):
    spoil, words = WRONG[wrong]
    with case.load() as session:
        for spec in case.form.inputs:
            error = case.refusal(session, spoil(case.form.feeds(), spec.name))
            assert words.format(name=spec.name, dtype=spec.dtype) in error.message
            assert error.hint
            session.run(case.form.feeds())  # a refusal does not break the session


def test_an_empty_batch_is_refused(case):
    if not case.form.free:
        pytest.skip(f"the model of {case.name} has no free dimension")
    with case.load() as session:
        assert "takes shape (?" in case.refusal(session, case.form.feeds(0)).message
        session.run(case.form.feeds())


def noise(model: bytes) -> bytes:
    return np.random.default_rng(11).bytes(len(model))


BAD = {
    "a text": lambda model: b"certainly not a model\nat all\n",
    "empty": lambda model: b"",
    "truncated": lambda model: model[: len(model) // 2],
    "zeros": lambda model: bytes(100),
    "noise": noise,
    "noise behind its first bytes": lambda model: model[:8] + noise(model)[8:],
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_model_is_one_line_that_names_it(case, bad, tmp_path):
    path = tmp_path / "broken.model"
    path.write_bytes(BAD[bad](case.model))
    with pytest.raises(EngineError) as caught:
        case.runtime.load(path, 1)
    assert "broken.model" in caught.value.message
    assert "\n" not in caught.value.message
    with pytest.raises(EngineError):
        case.runtime.load(path.read_bytes(), 1)


def test_a_file_that_is_not_there_and_a_directory(case, tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(EngineError, match="cannot read"):
            case.runtime.load(path, 1)


def test_close_twice_and_run_after_close(case):
    session = case.load()
    session.close()
    session.close()
    assert "closed" in case.refusal(session, case.form.feeds()).message
    with case.load() as inside:
        pass
    assert "closed" in case.refusal(inside, case.form.feeds()).message


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_below_one_are_refused(case, threads):
    with pytest.raises(UsageError, match=f"thread count {threads}"):
        case.load(threads)


@pytest.mark.parametrize("name", registry.names())
def test_an_engine_that_is_not_installed_says_how_to_get_it(name, monkeypatch):
    package = FORMS[name].package
    if package is None:
        pytest.skip(f"the runtime {name} needs no package")
    monkeypatch.setitem(sys.modules, package, None)
    for use in (lambda: registry.get(name).version(), lambda: registry.get(name).load(Path("x"), 1)):
        with pytest.raises(MissingExtraError) as caught:
            use()
        assert "pip install 'shoestring[" in caught.value.hint
