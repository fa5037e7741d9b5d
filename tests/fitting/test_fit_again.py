"""Repeating and resuming: finished steps are not made again, and the same questions give the same bytes."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import Any

import pytest

import tiny
from shoestring.base.cache import Cache
from shoestring.base.errors import EngineError
from shoestring.domain.budget import Budget
from shoestring.fitting import candidates, fit
from shoestring.runtimes.ort import OrtRuntime

BUDGET = Budget(max_drop=0.05)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many answers each room of the cache had to compute."""
    made: Counter[str] = Counter()
    noun, file = Cache.noun, Cache.file

    def count(room: str, compute: Any) -> Any:
        def counted(*arguments: Any) -> Any:
            made[room] += 1
            return compute(*arguments)

        return counted

    monkeypatch.setattr(Cache, "noun", lambda self, room, q, kind, make: noun(self, room, q, kind, count(room, make)))
    monkeypatch.setattr(
        Cache, "file", lambda self, room, q, suffix, write: file(self, room, q, suffix, count(room, write))
    )
    return made


def no_session(self: object, model: object, threads: int) -> None:
    raise EngineError("a session was loaded although every answer is known")


def no_measuring(*_: Any, **__: Any) -> None:
    raise EngineError("the power went out")


def test_a_repeated_run_loads_no_session_and_gives_the_same_bytes(task, warm, tmp_path, monkeypatch, work):
    first = fit(task.model, task.data, budget=BUDGET, out=tmp_path / "first.shoe", cache=warm)
    work.clear()
    monkeypatch.setattr(OrtRuntime, "load", no_session)
    monkeypatch.setattr(candidates, "measure", no_measuring)
    second = fit(task.model, task.data, budget=BUDGET, out=tmp_path / "second.shoe", cache=warm)
    assert not work
    assert (tmp_path / "first.shoe").read_bytes() == (tmp_path / "second.shoe").read_bytes()
    assert first.manifest == second.manifest and first.notes == second.notes


def test_another_budget_makes_no_candidate_again(task, warm, work):
    fitted = fit(task.model, task.data, budget=Budget(max_drop=0.04, size_bytes=15_000), cache=warm)
    assert {rung.name for rung in fitted.ladder.rungs} == {"fp16-weights", "int8"}
    assert not work.keys() & {"artefacts", "ranges", "sensitivity", "costs", "notes", "preprocess"}


def test_two_caches_give_the_same_artefacts_and_bytes(task, fitted, tmp_path):
    other = fit(task.model, task.data, budget=BUDGET, cache=tmp_path / "cache")
    assert other.blobs.keys() == fitted.blobs.keys()
    assert other.save(tmp_path / "other.shoe") == fitted.save(tmp_path / "one.shoe")


def test_a_run_that_failed_while_measuring_goes_on_from_there(task, fitted, tmp_path, monkeypatch, work):
    cache = tmp_path / "cache"
    with monkeypatch.context() as patch:
        patch.setattr(candidates, "measure", no_measuring)
        with pytest.raises(EngineError, match="the power went out"):
            fit(task.model, task.data, budget=BUDGET, cache=cache)
    assert work["ranges"] == work["sensitivity"] == 1 and work["artefacts"] == len(tiny.KNOWN_MS)
    before = tiny.listing(cache)
    work.clear()
    again = fit(task.model, task.data, budget=BUDGET, cache=cache)
    # four candidates in the 2 parts of the selection split; then the original and two candidates, and the reference for
    # the evidence, in the 5 parts of the certification split; two candidates that no faster one beats are asked how
    # sure they are, and that takes both of them the same time
    assert work == {"costs": 1, "traces": 4 * 2 + 4 * 5, "golden": 3, "readings": 2, "overheads": 1}
    after = tiny.listing(cache)
    assert {name: after[name] for name in before} == before
    assert again.manifest == fitted.manifest


def test_damaged_answers_are_made_again(task, fitted, warm, tmp_path, work):
    """Of all that are kept: other tests' answers lie in the same cache, and nobody asks for them here."""
    cache = shutil.copytree(warm, tmp_path / "cache")
    whole = {path: path.read_bytes() for path in (cache / "traces").iterdir()}
    for path, data in whole.items():
        path.write_bytes(data[: len(data) // 2])
    again = fit(task.model, task.data, budget=BUDGET, cache=cache)
    made = [path for path, data in whole.items() if path.read_bytes() == data]
    assert made and work == {"traces": len(made)}
    assert again.manifest == fitted.manifest


def test_changed_images_are_new_questions(task, warm, tmp_path, work):
    """The same file names with other pixels share nothing but the model."""
    images, labels = tiny.make_images(120, seed=5)
    data = tiny.write_images(tmp_path / "photos", images, labels.tolist())
    fit(task.model, data, cache=warm)
    assert work["ranges"] == work["sensitivity"] == work["preprocess"] == 1
    assert work["models"] == 0
