"""A real Ray cluster of two nodes on this machine, one of which is killed while it works.

Ray on one machine is two sets of processes that talk over TCP: placing, loss and repetition are real, a slow network and
another processor are not.
"""

from __future__ import annotations

import dataclasses

import pytest

import tiny
from shoestring.base.errors import ChildCrashedError, ChildError
from shoestring.domain.budget import Budget
from shoestring.fitting import candidates, fit

pytest.importorskip("ray", reason="Ray is not installed: pip install 'shoestring[ray]'")

from ray_nodes import two_nodes  # noqa: E402

from shoestring.engines.ray_cluster import RayEngine  # noqa: E402

pytestmark = pytest.mark.timeout(240)


def quiet(done: int, total: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture(scope="module")
def nodes():
    with two_nodes() as cluster:
        yield cluster


@pytest.fixture
def engine(nodes):
    with RayEngine(nodes[0].address) as joined:
        yield joined


def numbered(tasks, count):
    """Tasks that differ, so that none is the other's answer."""
    return [
        dataclasses.replace(tasks[i % len(tasks)], arguments={**tasks[i % len(tasks)].arguments, "number": i})
        for i in range(count)
    ]


def test_results_are_those_of_this_process_in_order(engine, probes, answers):
    seen = []
    assert engine.workers == 2
    assert engine.map(probes * 2, lambda done, total: seen.append((done, total))) == answers * 2
    assert seen == [(done, 6) for done in range(1, 7)]


def test_a_whole_fit_gives_the_same_bytes_as_here_and_as_local_workers(engine, tmp_path, monkeypatch):
    from shoestring.engines.local import LocalEngine

    monkeypatch.setattr(candidates, "measure", tiny.known_costs)
    (tmp_path / "task").mkdir()
    task = tiny.write_task(tmp_path / "task", count=300)

    def bundle(name, one):
        path = tmp_path / f"{name}.shoe"
        budget, cache = Budget(max_drop=0.05), tmp_path / name
        fit(task.model, task.data, budget=budget, runtimes=("onnxruntime",), cache=cache, engine=one, out=path)
        return path.read_bytes()

    here = bundle("here", None)
    assert bundle("ray", engine) == here
    with LocalEngine(2) as local:
        assert bundle("local", local) == here


def test_errors_come_back_as_what_they_are(engine, probes, answers, foreign):
    with pytest.raises(ChildError, match="instruction set of the worker on .* of this machine 'z80 none'"):
        engine.map([probes[0], foreign], quiet)
    assert engine.map(probes, quiet) == answers


def test_no_cluster_is_said_with_what_to_do(nodes, monkeypatch):
    with pytest.raises(ChildError, match="there is no Ray cluster at '127.0.0.1:1'") as caught:
        RayEngine("127.0.0.1:1")
    assert "ray start --head" in str(caught.value.hint)


def test_a_node_that_is_killed_costs_no_result(nodes, probes, answers):
    """The saboteur never repeats a task; the same kill then ends its work, so tasks were on that node."""
    cluster, second = nodes
    count = 24
    expected = [answers[i % len(answers)] for i in range(count)]

    def killer(node):
        def kill(done: int, total: int) -> None:
            if done == 4:
                cluster.remove_node(node, allow_graceful=False)

        return kill

    with RayEngine(cluster.address) as engine:
        assert engine.map(numbered(probes, count), killer(second)) == expected
        assert engine.workers == 1
        third = cluster.add_node(num_cpus=1, object_store_memory=100_000_000)
        cluster.wait_for_nodes()
        assert engine.map(numbered(probes, 4), quiet) == expected[:4], "both nodes have a worker that has begun"
        engine._remote = engine._remote.options(max_retries=0)
        with pytest.raises(ChildCrashedError, match="did not end on the Ray cluster"):
            engine.map(numbered(probes, count), killer(third))
