"""A real Ray cluster of two nodes on this machine, one of which is killed while it works.

Ray on one machine is two sets of processes that talk over TCP: placing, loss and repetition are real, a slow network
and another processor are not.
"""

from __future__ import annotations

import pytest

import tiny
from shoestring.base.errors import ChildCrashedError, ChildError
from shoestring.domain.budget import Budget
from shoestring.engines.local import LocalEngine
from shoestring.fitting import candidates, fit, mixing

pytest.importorskip("ray", reason="Ray is not installed: pip install 'shoestring[ray]'")

from ray_nodes import STORE_BYTES, cut_power, two_nodes
from shoestring.engines.ray_cluster import RayEngine

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


def test_results_are_those_of_this_process_in_order(engine, probes, answers):
    seen = []
    assert engine.workers == 2
    assert engine.map(probes * 2, lambda done, total: seen.append((done, total))) == answers * 2
    assert seen == [(done, 6) for done in range(1, 7)]


def test_a_whole_fit_gives_the_same_bytes_as_here_and_as_local_workers(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "measure", tiny.known_costs)
    monkeypatch.setattr(mixing, "measure_layers", tiny.known_layer_times)
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
    with pytest.raises(ChildError, match=r"instruction set of the worker on .* of this machine 'z80 none'"):
        engine.map([probes[0], foreign], quiet)
    assert engine.map(probes, quiet) == answers


def test_no_cluster_is_said_with_what_to_do(nodes, monkeypatch):
    with pytest.raises(ChildError, match=r"there is no Ray cluster at '127\.0\.0\.1:1'") as caught:
        RayEngine("127.0.0.1:1")
    assert "ray start --head" in str(caught.value.hint)


def kill_at_work(cluster, engine, node, task_count):
    """Progress that kills a node that has answered two tasks, when another node has just answered: in mid-task."""
    killed, before = [], [0]

    def kill(done: int, total: int) -> None:
        assert total == task_count
        answered = engine.answered[node.node_id]
        if not killed and answered == before[0] >= 2 and done <= total - 4:
            cut_power(cluster, node)
            killed.append(done)
        before[0] = answered

    return kill, killed


def test_a_node_that_is_killed_costs_no_result(nodes, long_probes, long_answers):
    cluster, second = nodes
    tasks, expected = long_probes * 6, long_answers * 6
    with RayEngine(cluster.address) as engine:
        kill, killed = kill_at_work(cluster, engine, second, len(tasks))
        assert engine.map(tasks, kill) == expected
        assert killed and engine.answered.total() == len(tasks)


def test_an_engine_that_repeats_no_task_is_caught(nodes, long_probes):
    """The saboteur: the same kill ends its work, so that tasks are lost with a node. Chance may end a task just before
    its node, so it gets three nodes.
    """
    cluster, _ = nodes
    tasks = long_probes * 6
    with RayEngine(cluster.address) as engine:
        engine._remote = engine._remote.options(max_retries=0)
        for _ in range(3):
            node = cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
            cluster.wait_for_nodes()
            kill, _ = kill_at_work(cluster, engine, node, len(tasks))
            try:
                engine.map(tasks, kill)
            except ChildCrashedError as error:
                assert "did not end on the Ray cluster" in error.message
                return
    pytest.fail("three nodes were killed at work, and no task was lost")
