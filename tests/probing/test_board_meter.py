"""Candidates measured over a real sshd, a whole fit of them, and what goes wrong on the way."""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny
from shoestring.base import canonical
from shoestring.base.errors import ChildCrashedError, ChildError, EngineError, StorageError, UsageError
from shoestring.chips.host import this_machine
from shoestring.cli import main as cli
from shoestring.costmodel import interleave
from shoestring.costmodel.measure import Measured
from shoestring.fitting import candidates, mixing
from shoestring.probing import board_meter
from shoestring.probing.board_meter import BoardMeter, open_meter
from shoestring.probing.ssh import Board
from shoestring.runtimes import registry

CUTTER = """#!/bin/sh
case "$(cat request.json)" in
*measure_files*)
    p=$PPID
    until grep -q ^sshd "/proc/$p/comm"; do p=$(ps -o ppid= -p "$p" | tr -d ' '); done
    kill -9 "$p"
    exec PYTHON -c 'import time; time.sleep(0.5); print("a line", flush=True); time.sleep(60)';;
*) exec PYTHON "$@";;
esac
"""
"""An interpreter that kills the server's side of its own connection, then goes on until it says something."""


@pytest.fixture
def meter(board: Board) -> BoardMeter:
    return open_meter(board, sys.executable)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    path.write_bytes(tiny.make_model().SerializeToString())
    return path


def script(path: Path, text: str) -> str:
    """An interpreter of our own."""
    path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def ask(meter: BoardMeter, *files: Path, heard: Any = lambda _: None) -> Any:
    artefacts = [Measured(path.stem, path, "onnxruntime", 10) for path in files]
    return meter.measure(artefacts, artefacts[0].name, (1,), seconds_each=0.02, progress=heard)


def test_a_board_says_what_it_is(meter: BoardMeter) -> None:
    assert meter.machine == this_machine()
    assert meter.versions["onnxruntime"] == registry.get("onnxruntime").version()


def test_files_are_measured_there_side_by_side_and_nothing_is_left(
    meter: BoardMeter, model: Path, tmp_path: Path, board_tmp: Path
) -> None:
    other = shutil.copy(model, tmp_path / "other.onnx")
    said: list[str] = []
    costs = ask(meter, model, Path(other), heard=said.append)
    assert list(costs) == ["tiny", "other"]
    assert costs["tiny"].at(1).ratio_to_original == 1.0 and costs["tiny"].at(1).runs >= interleave.MIN_ROUNDS
    assert costs["other"].size_bytes == 10 and costs["other"].peak_rss_bytes > 10_000_000
    assert all(cost.predicted is None for cost in costs.values())
    assert "other: peak memory" in said
    assert not list(board_tmp.iterdir())


def test_a_file_that_cannot_run_there_is_named(meter: BoardMeter, model: Path, tmp_path: Path, board_tmp: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(model.read_bytes()[:200])
    with pytest.raises(EngineError, match="broken: "):
        ask(meter, model, broken)
    assert not list(board_tmp.iterdir())


def test_a_connection_cut_in_the_middle_is_told_and_leaves_nothing_there(
    meter: BoardMeter, model: Path, tmp_path: Path, board_tmp: Path
) -> None:
    cut = script(tmp_path / "cut", CUTTER.replace("PYTHON", sys.executable))
    with pytest.raises(ChildCrashedError):
        ask(replace(meter, python=cut), model)
    for _ in range(100):
        if not list(board_tmp.iterdir()):
            break
        time.sleep(0.1)
    assert not list(board_tmp.iterdir())


def test_a_python_that_dies_there_is_told(meter: BoardMeter, model: Path, tmp_path: Path) -> None:
    dying = script(tmp_path / "dying", "echo out of memory >&2; kill -9 $$")
    with pytest.raises(ChildCrashedError, match="ended with code 137"):
        ask(replace(meter, python=dying), model)


@pytest.mark.parametrize("said", ["echo hello", "true", "echo '[]'"])
def test_another_answer_than_ours_is_refused(meter: BoardMeter, model: Path, tmp_path: Path, said: str) -> None:
    with pytest.raises(ChildError, match=r"answered nothing|no reply of ours"):
        ask(replace(meter, python=script(tmp_path / "other", said)), model)


@pytest.mark.parametrize(
    ("field", "value"), [("median_ms", 0.0), ("runs", 0), ("threads", 2), ("low_ms", -1.0), ("median_ms", "fast")]
)
def test_figures_that_nobody_can_measure_are_refused(
    meter: BoardMeter, model: Path, tmp_path: Path, field: str, value: object
) -> None:
    known = tiny.known_costs([Measured("fp32", model, "onnxruntime", 10)], "fp32", (1,))
    cost = canonical.plain(known["fp32"])
    right = script(tmp_path / "right", f"cat <<'E'\n{json.dumps({'result': {'tiny': cost}})}\nE")
    assert list(ask(replace(meter, python=right), model)) == ["tiny"]
    cost["timings"][0][field] = value
    wrong = script(tmp_path / "wrong", f"cat <<'E'\n{json.dumps({'result': {'tiny': cost}})}\nE")
    with pytest.raises(ChildError, match="answered what was not asked"):
        ask(replace(meter, python=wrong), model)


def test_a_full_disk_there_is_told(
    meter: BoardMeter, model: Path, board_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ulimit -f` stands for the full disk: tar cannot write a file of more than 512 bytes."""
    monkeypatch.setattr(board_meter, "SCRIPT", "ulimit -f 1; " + board_meter.SCRIPT)
    with pytest.raises(StorageError, match="could not unpack what was sent"):
        ask(meter, model)
    assert not list(board_tmp.iterdir())


def test_a_board_without_numpy_is_told_what_to_install(board: Board, tmp_path: Path) -> None:
    bare = script(tmp_path / "bare", f'exec {sys.executable} -S -I "$@"')
    with pytest.raises(UsageError, match="lacks numpy, msgspec") as caught:
        open_meter(board, bare)
    assert "pip install numpy msgspec onnxruntime" in (caught.value.hint or "")


def test_fit_measures_its_candidates_on_the_board(
    board: Board, board_tmp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def not_here(*_: object, **__: object) -> None:
        raise AssertionError("costs were measured here")

    monkeypatch.setattr(candidates, "measure", not_here)
    monkeypatch.setattr(candidates, "SECONDS_LEAST", 0.05)
    monkeypatch.setattr(candidates, "SECONDS_ALL", 0.5)
    monkeypatch.setattr(mixing, "measure_layers", tiny.known_layer_times)
    task, bundle = tiny.write_task(tmp_path), tmp_path / "board.shoe"
    there = ("--ssh", f"{board.host}:{board.port}", "--python", sys.executable)
    options = (part for option in board.options for part in ("--ssh-option", option))
    words = ("fit", task.model, "--data", task.data, "--max-drop", "10pt", "--runtimes", "onnxruntime", "--json")
    kept = ("--cache", tmp_path / "cache", "-o", bundle)
    code = cli.main([str(word) for word in (*words, *kept, *there, *options)])
    said = capsys.readouterr()
    assert code == 0, said.err
    found = json.loads(said.out)
    assert found["measured_on"]["name"] == this_machine().name
    assert any("costs were measured on" in note for note in found["notes"])
    assert all("estimate" not in row or row["estimate"] is None for row in found["rows"])
    assert not list(board_tmp.iterdir())
    assert cli.main(["inspect", str(bundle)]) == 0
    assert "latency and memory were measured on a board: " in capsys.readouterr().out
    assert cli.main(["report", str(bundle), "-o", str(tmp_path / "board.html")]) == 0
    assert "Latency and memory were measured on" in (tmp_path / "board.html").read_text()
