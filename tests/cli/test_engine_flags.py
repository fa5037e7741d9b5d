"""What people can get wrong about engines, and that workers change nothing."""

from __future__ import annotations

import json

import pytest

import tiny
from shoestring.cli.main import main
from shoestring.fitting import candidates, mixing


@pytest.fixture
def task(tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "measure", tiny.known_costs)
    monkeypatch.setattr(mixing, "measure_layers", tiny.known_layer_times)
    (tmp_path / "task").mkdir()
    return tiny.write_task(tmp_path / "task", count=200)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--workers", "0"], "0 workers are outside 1.."),
        (["--ray-address", "head:6379"], "the address 'head:6379' is of a Ray cluster, the engine is 'local'"),
    ],
)
def test_flags_that_make_no_sense(task, capsys, flags, words):
    assert main(["fit", str(task.model), "--data", str(task.data), *flags]) == 2
    assert words in capsys.readouterr().err


def test_workers_write_the_same_bundle_and_keep_stdout_for_data(task, tmp_path, capsys):
    digests = []
    for name, flags in (("here", []), ("workers", ["--workers", "2"]), ("full", ["--race", "off"])):
        words = ["fit", str(task.model), "--data", str(task.data), "--max-drop", "10pt", "--runtimes", "onnxruntime"]
        out, cache = tmp_path / f"{name}.shoe", tmp_path / f"cache-{name}"
        assert main([*words, *flags, "--cache", str(cache), "-o", str(out), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["chosen"] == "fp16-weights"
        digests.append(out.read_bytes())
    assert digests[0] == digests[1]
