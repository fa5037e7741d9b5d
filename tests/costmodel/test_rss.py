import json
from pathlib import Path

import numpy as np
import pytest

from shoestring.base.child import ChildLimits, run_in_child
from shoestring.base.errors import ChildCrashedError, EngineError
from shoestring.base.resident import high_water_bytes
from shoestring.costmodel import rss

MIB = 1 << 20


def save(path, megabytes=0, **more):
    outputs = [{"name": "y", "dtype": "uint8", "shape": [megabytes, MIB]}]
    model = {"inputs": [{"name": "x", "dtype": "float32", "shape": [None, 4]}], "outputs": outputs, **more}
    path.write_text(json.dumps(model))
    return path


@pytest.fixture
def children(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def test_the_high_water_mark_is_read_from_the_kernels_text():
    assert high_water_bytes("VmPeak:\t  9000 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1000 kB\n") == 1234 * 1024
    with pytest.raises(EngineError, match="VmHWM"):
        high_water_bytes("VmPeak:\t  9000 kB\n")


def test_memory_that_a_model_takes_is_seen(tmp_path):
    small = rss.peak_rss_bytes(save(tmp_path / "small"), "null", 1)
    large = rss.peak_rss_bytes(save(tmp_path / "large", megabytes=32), "null", 1)
    assert 5 * MIB < small < 200 * MIB
    assert large > small + 30 * MIB


def test_the_parents_own_memory_is_not_counted(tmp_path):
    ballast = np.ones(250 * MIB, np.uint8)
    assert rss.peak_rss_bytes(save(tmp_path / "m"), "null", 1) < 200 * MIB
    assert ballast[-1] == 1


def test_given_feeds_reach_the_child(tmp_path):
    path = save(tmp_path / "m")
    assert rss.peak_rss_bytes(path, "null", 1, {"x": np.zeros((2, 4), np.float32)}) > 0
    with pytest.raises(EngineError, match=r"takes shape \(\?, 4\), got \(2, 5\)"):
        rss.peak_rss_bytes(path, "null", 1, {"x": np.zeros((2, 5), np.float32)})


def test_a_crash_stays_in_the_child(tmp_path, monkeypatch, children):
    monkeypatch.setattr(rss, "TARGET", "costmodel_children:die")
    with pytest.raises(ChildCrashedError, match="SIGSEGV"):
        rss.peak_rss_bytes(save(tmp_path / "m"), "null", 1)


def test_the_child_imports_nothing_heavy(children):
    assert run_in_child("costmodel_children:heavy_imports", None, ChildLimits(seconds=60)) == []
