"""Measuring null models whose cost is known. Only orders with a factor of 5 between them are asserted."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from shoestring.base import canonical
from shoestring.base.errors import EngineError, MissingExtraError, UsageError
from shoestring.costmodel import contest, rss
from shoestring.costmodel import measure as module
from shoestring.costmodel.measure import Measured, describe, measure, measure_all
from shoestring.domain.cost import Cost
from shoestring.runtimes import registry
from shoestring.runtimes.guarded import GuardedSession, Limits

SPECS = {
    "inputs": [{"name": "x", "dtype": "float32", "shape": [None, 4]}],
    "outputs": [{"name": "y", "dtype": "float32", "shape": [None, 2]}],
}


@pytest.fixture
def artefact(tmp_path):
    def make(name, **more):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({**SPECS, **more}))
        return Measured(name, path, "null", path.stat().st_size)

    return make


@pytest.fixture
def no_child(monkeypatch):
    """Memory is tested elsewhere; here it would only take time."""
    monkeypatch.setattr(module, "peak_rss_bytes", lambda *_: 1)


def test_costs_come_out_in_their_order(artefact, no_child):
    slow, middle, quick = artefact("slow", busy_us=10_000), artefact("middle", busy_us=1000), artefact("quick")
    said = []
    costs = measure([quick, slow, middle], "slow", [2, 1], seconds_each=0.05, progress=said.append)
    assert list(costs) == ["quick", "slow", "middle"]
    for threads in (1, 2):
        at = {name: cost.at(threads) for name, cost in costs.items()}
        assert at["quick"].median_ms < at["middle"].median_ms < at["slow"].median_ms
        assert at["slow"].ratio_to_original == at["slow"].ratio_low == at["slow"].ratio_high == 1.0
        assert at["middle"].ratio_to_original < 0.5
        assert at["quick"].ratio_to_original < at["middle"].ratio_to_original
        for timing in at.values():
            assert 0 < timing.low_ms <= timing.median_ms <= timing.high_ms
            assert timing.ratio_low <= timing.ratio_to_original <= timing.ratio_high
            assert timing.runs >= 15
    assert [timing.threads for timing in costs["slow"].timings] == [2, 1]
    assert any("peak memory" in line for line in said) and any("side by side" in line for line in said)


def test_a_cost_survives_json(artefact):
    one = artefact("one", busy_us=200)
    cost = measure([one], "one", [1], seconds_each=0.01)["one"]
    assert canonical.decode(canonical.encode(cost), Cost, ValueError) == cost
    assert cost.size_bytes == one.size_bytes
    assert cost.peak_rss_bytes > 5_000_000


def test_given_feeds_are_used(artefact, no_child):
    feeds = {"x": np.zeros((1, 5), np.float32)}
    with pytest.raises(EngineError, match=r"^one: input 'x' takes shape"):
        measure([artefact("one")], "one", [1], seconds_each=0.01, feeds=feeds)


@pytest.mark.parametrize("runs", [0, 1, 40])
def test_an_artefact_that_fails_is_named_whenever_it_fails(artefact, no_child, runs):
    pair = [artefact("good", busy_us=500), artefact("bad", busy_us=500, fail_after=runs)]
    with pytest.raises(EngineError, match=f"^bad: the null runtime fails after {runs} runs"):
        measure(pair, "good", [1], seconds_each=0.05)


def test_an_artefact_that_cannot_be_loaded_is_named(artefact, tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_text("not a model")
    with pytest.raises(EngineError, match=r"^bad: the null runtime refuses .*broken\.json"):
        measure([artefact("good"), Measured("bad", broken, "null", 1)], "good", [1], seconds_each=0.01)


def test_an_artefact_that_kills_its_process_is_named(artefact, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(rss, "TARGET", "costmodel_children:die")
    with pytest.raises(EngineError, match=r"^deadly: .*SIGSEGV"):
        measure([artefact("deadly")], "deadly", [1], seconds_each=0.01)


def onnx_square_root(path):
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Sqrt", ["x"], ["y"])], "g", [value("x", 1, ["n", 64])], [value("y", 1, ["n", 64])]
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    path.write_bytes(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    return Measured("root", path, "onnxruntime", path.stat().st_size)


# The base install has no engine, and the other tests of this file need none; `make test` installs it.
@pytest.mark.skipif("onnxruntime" not in registry.installed(), reason="the runtime onnxruntime is not installed")
def test_nan_and_a_real_engine(tmp_path):
    root = onnx_square_root(tmp_path / "root.onnx")
    with pytest.raises(EngineError, match=r"^root: output 'y' holds NaN"):
        measure([root], "root", [1], seconds_each=0.01)
    cost = measure([root], "root", [1, 2], seconds_each=0.05, feeds={"x": np.ones((1, 64), np.float32)})["root"]
    assert len(cost.timings) == 2
    assert cost.peak_rss_bytes > 20_000_000


def test_sessions_are_closed_whatever_happens(artefact, no_child, monkeypatch):
    opened, closed = [], []
    real = registry.get("null")

    class Watching:
        def load(self, path, threads):
            session = real.load(path, threads)
            opened.append(session)
            close = session.close
            session.close = lambda: (closed.append(session), close())
            return session

    monkeypatch.setattr(registry, "get", lambda name: Watching())
    measure([artefact("a"), artefact("b")], "a", [1, 2], seconds_each=0.01)
    with pytest.raises(EngineError):
        measure([artefact("a"), artefact("bad", fail_after=3)], "a", [1], seconds_each=0.01)
    assert len(opened) == len(closed) == 6


@pytest.fixture
def guarded(monkeypatch):
    """The null runtime runs where OpenVINO would: in a process of its own."""
    monkeypatch.setattr(contest, "IN_PROCESS", frozenset())
    monkeypatch.setattr(contest, "LIMITS", Limits(60, 4))


def test_other_runtimes_run_in_processes_of_their_own(artefact, no_child, guarded, monkeypatch):
    asked = []
    real = GuardedSession.time_block
    monkeypatch.setattr(
        GuardedSession, "time_block", lambda session, *args: asked.append(session) or real(session, *args)
    )
    costs = measure([artefact("quick", busy_us=1000), artefact("slow", busy_us=10_000)], "slow", [1], seconds_each=0.05)
    assert list(costs) == ["quick", "slow"]
    quick, slow = costs["quick"].at(1), costs["slow"].at(1)
    assert quick.median_ms < slow.median_ms
    assert quick.ratio_to_original < 0.5
    assert slow.low_ms >= 10.0 and slow.runs >= 15
    assert len(set(map(id, asked))) == 2
    assert all(session.peak_rss_bytes() is None for session in asked), "their processes must have ended"


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"stranger": 1}, "the null runtime refuses"),
        ({"fail_after": 2}, "fails after 2 runs"),
        ({"crash_after": 3}, "died by signal SIGSEGV"),  # where memory is measured
        ({"crash_after": 40}, "null with .*bad.json failed while running: its process died by signal SIGSEGV"),
        ({"hang_after": -1}, "ran longer than its limit of 8 s"),
        ({"hang_after": 40}, "no answer within the limit of 4 s"),
        ({"nan_after": 0}, "holds NaN"),
    ],
)
def test_what_fails_is_left_out_and_named(artefact, guarded, monkeypatch, faults, words):
    if faults == {"hang_after": -1}:
        monkeypatch.setattr(rss, "SECONDS", 8.0)
    said = []
    pair = [artefact("bad", busy_us=500, **faults), artefact("good", busy_us=500)]
    found = measure_all(pair, "good", [1], seconds_each=0.02, progress=said.append)
    assert list(found.costs) == ["good"] and found.costs["good"].at(1).runs >= 15
    assert list(found.failures) == ["bad"]
    assert re.search(words, found.failures["bad"]) and "\n" not in found.failures["bad"]
    assert f"bad: left out: {found.failures['bad']}" in said


def test_the_reference_must_not_fail(artefact, guarded, no_child):
    pair = [artefact("bad", crash_after=40), artefact("good")]
    with pytest.raises(EngineError, match=r"^bad: null with .* SIGSEGV"):
        measure_all(pair, "bad", [1], seconds_each=0.05)
    with pytest.raises(EngineError, match=r"^bad: null with .* SIGSEGV"):
        measure(pair, "good", [1], seconds_each=0.05)


def test_a_runtime_that_is_missing_is_a_failure_unless_it_is_the_references(artefact, guarded, no_child, monkeypatch):
    def missing(name, path, threads, limits):
        if path.name == "bad.json":
            raise MissingExtraError("abacus", "abacus")
        return load(name, path, threads, limits)

    load = contest.guarded.load
    monkeypatch.setattr(contest.guarded, "load", missing)
    pair = [artefact("bad"), artefact("good")]
    assert "package 'abacus'" in measure_all(pair, "good", [1], seconds_each=0.01).failures["bad"]
    with pytest.raises(MissingExtraError):
        measure_all(pair, "bad", [1], seconds_each=0.01)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reference": "other"}, "reference 'other'"),
        ({"threads": []}, "thread counts"),
        ({"threads": [0]}, "thread counts"),
        ({"threads": [1, 1]}, "thread counts"),
        ({"seconds_each": 0}, "above zero"),
        ({"seconds_each": float("nan")}, "above zero"),
        ({"artefacts": []}, "at least one"),
    ],
)
def test_arguments_that_make_no_sense(artefact, change, words):
    given = {"artefacts": [artefact("a")], "reference": "a", "threads": [1], **change}
    with pytest.raises(UsageError, match=words):
        measure(**given)


def test_names_are_unique_and_runtimes_known(artefact, tmp_path):
    with pytest.raises(UsageError, match="unique"):
        measure([artefact("a"), artefact("a")], "a", [1])
    with pytest.raises(UsageError, match="no runtime 'abacus'"):
        measure([Measured("a", tmp_path, "abacus", 1)], "a", [1])


def test_the_description_holds_the_numbers_and_no_accident():
    words = describe(4, "original", [1, 2], seconds_each=1.5)
    assert words == describe(4, "original", [1, 2], seconds_each=1.5)
    for figure in ("1 and 2 thread(s)", "4 artefacts", "1.5 s", "20 ms", "15 rounds", "3 %", "'original'", "5 times"):
        assert figure in words
