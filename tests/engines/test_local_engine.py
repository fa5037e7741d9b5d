"""Worker processes: the same bytes as here, in order, whatever dies on the way."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from shoestring.base.errors import ChildCrashedError, ChildError, MissingExtraError, UsageError
from shoestring.engines import local, open_engine
from shoestring.engines.local import LocalEngine, Worker
from shoestring.engines.protocol import RETRIES, Task
from shoestring.engines.work import unpack


def quiet(done: int, total: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[Worker]:
    """Every worker that is started."""
    started: list[Worker] = []

    class Watched(Worker):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            started.append(self)

    monkeypatch.setattr(local, "Worker", Watched)
    return started


def test_results_are_those_of_this_process_in_the_order_of_the_tasks(probes, answers, workers):
    seen = []
    with LocalEngine(2) as engine:
        assert engine.map(probes * 3, lambda done, total: seen.append((done, total))) == answers * 3
        assert engine.map(probes, quiet) == answers, "the workers stay for the next call"
    assert seen == [(done, 9) for done in range(1, 10)]
    assert 1 <= len(workers) <= 2 and all(one.process.poll() is not None for one in workers)


def test_a_worker_that_is_killed_costs_no_result(probes, answers, workers):
    def kill(done: int, total: int) -> None:
        alive = [one for one in workers if one.process.poll() is None]  # the one killed before may not be replaced yet
        if done in (2, 5) and alive:
            os.kill(alive[-1].process.pid, signal.SIGKILL)

    with LocalEngine(2) as engine:
        assert engine.map(probes * 4, kill) == answers * 4
    assert len(workers) >= 3 and any(one.process.returncode == -signal.SIGKILL for one in workers)


def test_a_task_that_kills_every_worker_is_an_error(probes, workers, monkeypatch):
    honest = Worker.call

    def dying(self, *arguments):
        self.process.kill()
        self.process.wait()
        return honest(self, *arguments)

    monkeypatch.setattr(Worker, "call", dying)
    with LocalEngine(1) as engine, pytest.raises(ChildCrashedError, match="the last one by signal SIGKILL"):
        engine.map(probes[:1], quiet)
    assert len(workers) == RETRIES + 1


def test_the_error_of_the_first_task_that_fails_is_raised_and_the_workers_live_on(probes, answers, foreign, workers):
    with LocalEngine(2) as engine:
        with pytest.raises(ChildError, match=r"instruction set of the worker on .* is .*, of this machine 'z80 none'"):
            engine.map([probes[0], foreign, Task("shoestring.no_such_room:score", {})], quiet)
        assert engine.map(probes, quiet) == answers


def test_a_fault_of_ours_in_a_task_is_told_with_its_last_words(workers):
    with (
        LocalEngine(1) as engine,
        pytest.raises(ChildCrashedError, match=r"exit status 1: ModuleNotFoundError: .*room"),
    ):
        engine.map([Task("shoestring.no_such_room:score", {})], quiet)


def test_only_our_own_functions_are_called():
    with LocalEngine(1) as engine, pytest.raises(UsageError, match=r"the task 'os:system' is not one of ours"):
        engine.map([Task("os:system", {"command": "true"})], quiet)


def test_a_result_that_was_changed_on_the_way_is_refused():
    head = {"sha256": "0" * 64}
    with pytest.raises(ChildError, match="does not have the hash"):
        unpack("shoestring.fitting.tasks:score", head, b"changed")


def test_nothing_is_left_behind(probes, tmp_path, monkeypatch):
    monkeypatch.setattr(local.tempfile, "tempdir", str(tmp_path))
    engine = LocalEngine(1)
    engine.map(probes, quiet)
    (folder,) = tmp_path.iterdir()
    assert list(folder.iterdir()) == [], "blobs and results go when the call ends"
    engine.close()
    engine.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("slurm",), "there is no engine 'slurm'"),
        (("local", 0), "0 workers are outside"),
        (("local", 2, "head:6379"), "is of a Ray cluster, the engine is 'local'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        open_engine(*arguments)


def test_one_worker_is_this_process():
    assert open_engine() is None and open_engine("local", 1) is None


def test_ray_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtraError) as caught:
        open_engine("ray")
    assert caught.value.hint == "pip install 'shoestring[ray]'"
