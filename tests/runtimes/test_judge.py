"""One trial per fault that an engine can have, and one without any."""

from __future__ import annotations

import numpy as np
import pytest

from runtime_forms import FORMS, null_model
from shoestring.base.errors import UsageError
from shoestring.runtimes import registry
from shoestring.runtimes.guarded import Limits
from shoestring.runtimes.judge import FAULTS, judge

FEEDS = FORMS["null"].feeds()
MEMORY_BYTES = 200_000_000


def reference() -> dict[str, np.ndarray]:
    with registry.get("null").load(null_model(), 1) as session:
        return session.run(FEEDS)


@pytest.fixture
def trial(tmp_path):
    def make(wanted=None, **faults):
        limits = Limits(load_s=60, run_s=1 if "hang_after" in faults else 60, memory_bytes=MEMORY_BYTES)
        path = tmp_path / "model.json"
        path.write_bytes(null_model(**faults))
        return judge("null", path, FEEDS, wanted, limits)

    return make


def test_a_good_engine(trial):
    wanted = reference()
    wanted["y"][0, 0] += 0.25
    one = trial(wanted)
    assert one.ok and one.fault is None and one.reason is None
    assert (one.runtime, one.artefact) == ("null", "model.json")
    assert one.difference == pytest.approx(0.25)
    assert one.load_s > 0 and one.run_ms > 0 and one.peak_rss_bytes > 5_000_000
    assert trial().difference is None


@pytest.mark.parametrize(
    ("fault", "faults"),
    [
        ("crashed", {"crash_after": 1}),
        ("crashed", {"exit_after": -1}),
        ("hung", {"hang_after": 1}),
        ("memory", {"allocate_bytes": 300_000_000}),
        ("flood", {"chatter_bytes": 20_000_000}),
        ("nan", {"nan_after": 0}),
        ("unsteady", {"unsteady": True}),
        ("failed", {"fail_after": 0}),
        ("refused", {"stranger": 1}),
    ],
)
def test_each_fault_is_told_by_its_name(trial, fault, faults):
    one = trial(reference(), **faults)
    assert not one.ok
    assert one.fault == fault and fault in FAULTS
    assert "null" in one.reason and "\n" not in one.reason
    assert (one.load_s is None) == (fault == "refused" or faults == {"exit_after": -1})


def test_answers_of_another_shape_or_name(trial):
    wanted = reference()
    one = trial({**wanted, "y": wanted["y"][:1]})
    assert (one.fault, one.difference) == ("shape", None)
    assert "(2, 4)" in one.reason and "(1, 4)" in one.reason
    assert trial({"y": wanted["y"]}).fault == "shape"


def test_a_missing_engine(tmp_path, monkeypatch):
    folder = tmp_path / "onnxruntime"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(str(tmp_path))
    one = judge("onnxruntime", tmp_path / "m.onnx", FEEDS, None)
    assert one.fault == "missing"
    assert "pip install" in one.hint


def test_an_unknown_runtime_is_the_callers_mistake(tmp_path):
    with pytest.raises(UsageError, match="abacus"):
        judge("abacus", tmp_path, FEEDS, None)


@pytest.mark.skipif("onnxruntime" not in registry.installed(), reason="the runtime onnxruntime is not installed")
def test_infinity_is_a_fault_unless_the_original_has_it(tmp_path):
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info
    nodes = [onnx.helper.make_node("Reciprocal", ["x"], ["y"])]
    graph = onnx.helper.make_graph(nodes, "g", [value("x", 1, [3])], [value("y", 1, [3])])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    feeds = {"x": np.asarray([0, 1, 2], np.float32)}
    for wanted in (None, {"y": np.asarray([1, 1, 0.5], np.float32)}):
        one = judge("onnxruntime", path, feeds, wanted)
        assert one.fault == "infinite" and "1 of 3" in one.reason
    assert judge("onnxruntime", path, feeds, {"y": np.asarray([np.inf, 1, 0.5], np.float32)}).difference == 0.0
