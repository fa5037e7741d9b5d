"""`shoestring distill` on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import tiny
from shoestring.importers.trained_on import hashes_path
from training.students import KnownMeter


def words(task: tiny.Task, out: Path, *more: str) -> list[str]:
    return ["distill", str(task.model), "--data", str(task.data), "--target-latency", "2ms", "-o", str(out), *more]


def test_without_torch_it_says_how_to_get_it(
    cli: Any, task: tiny.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("shoestring.training.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    said = cli(*words(task, tmp_path / "student.onnx"))
    assert said.code == 2
    assert "needs the package 'torch'" in said.err
    assert "pip install 'shoestring[train]'" in said.err
    assert not (tmp_path / "student.onnx").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [(("--epochs", "0"), "epochs must be in"), (("--target-latency", "fast"), "fast"), (("--device", "tpu"), "tpu")],
)
def test_flags_that_make_no_sense_exit_with_2(
    cli: Any, task: tiny.Task, tmp_path: Path, change: tuple[str, ...], message: str
) -> None:
    said = cli(*words(task, tmp_path / "student.onnx"), *change)
    assert said.code == 2
    assert message in said.err


def test_a_student_is_written_and_described_as_json_and_as_words(
    cli: Any, task: tiny.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="the extra train is not installed: torch")
    pytest.importorskip("torch_pruning", reason="the extra train is not installed: torch-pruning")
    from shoestring.training import run

    threads = torch.get_num_threads()
    monkeypatch.setattr(run, "RealMeter", KnownMeter)
    out, cache = tmp_path / "student.onnx", str(tmp_path / "cache")
    flags = ("--epochs", "2", "--batch", "16", "--threads", "1", "--cache", cache)
    said = cli(*words(task, out, *flags, "--json"))
    assert said.code == 0, said.err
    assert said.data["path"] == str(out)
    assert said.data["latency_ms"] <= said.data["target_ms"] == 2.0
    assert 0 <= said.data["agreement_int8"] <= 1
    assert "race" not in said.out
    assert out.exists()
    assert hashes_path(out).exists()
    again = cli(*words(task, out, *flags))
    assert again.code == 0
    assert "in 8 bits" in again.out
    assert "rounding in the last epochs" in again.err
    torch.set_num_threads(threads)
