"""The whole way from a model to a student that `fit` can take, with a clock that is known."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nets
import tiny
from shoestring.base.errors import BudgetError, DataError, EngineError, ModelError, UsageError
from shoestring.evaluate.dataset import open_dataset
from shoestring.evaluate.splits import split
from shoestring.importers import import_model
from shoestring.importers.trained_on import trained_on
from training import students

torch = students.torch_or_skip()
students.pruning_or_skip()

from shoestring.training import run  # noqa: E402
from shoestring.training.distill import Distilled, distill  # noqa: E402
from shoestring.training.settings import Settings  # noqa: E402

QUICK = Settings(epochs=5, batch=16)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> tiny.Task:
    return tiny.write_task(tmp_path_factory.mktemp("task"), 300)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(run, "RealMeter", students.KnownMeter)
    monkeypatch.setenv("SHOESTRING_CACHE", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def go(task: tiny.Task, out: Path, target: float = 2.0, **more: Any) -> Distilled:
    return distill(task.model, task.data, target, out, settings=more.pop("settings", QUICK), **more)


def test_a_student_meets_the_target_keeps_the_interface_and_agrees(task: tiny.Task, tmp_path: Path) -> None:
    made = go(task, tmp_path / "student.onnx")
    assert made.latency_ms <= made.target_ms < made.original_ms
    assert "of the channels less" in made.shape
    assert made.agreement > 0.8
    assert made.agreement_int8 > 0.8
    original = import_model(task.model, tmp_path / "a.onnx")
    student = import_model(made.path, tmp_path / "b.onnx")
    assert (student.inputs, student.outputs) == (original.inputs, original.outputs)
    images = tiny.make_images(60, 99)
    x = (images[0] / 255).astype(np.float32).transpose(0, 3, 1, 2)
    assert (nets.run(made.path.read_bytes(), x).argmax(1) == images[1]).mean() > 0.8
    dataset = open_dataset(task.data)
    learned = trained_on(made.path)
    assert learned is not None
    assert not learned & {dataset.hashes[i] for i in split(dataset).certification}
    assert len(learned) == 2 * (made.images + made.held)


def test_a_batch_that_the_model_fixes_is_kept(task: tiny.Task, tmp_path: Path) -> None:
    fixed = tmp_path / "fixed.onnx"
    fixed.write_bytes(tiny.make_model(batch=4).SerializeToString())
    made = distill(fixed, task.data, 2.0, tmp_path / "student.onnx", settings=Settings(epochs=2, batch=16))
    assert import_model(made.path, tmp_path / "b.onnx").inputs[0].shape == (4, 3, tiny.SIZE, tiny.SIZE)
    assert made.latency_ms <= 2.0


def test_a_stopped_distillation_ends_as_one_that_was_not(task: tiny.Task, tmp_path: Path) -> None:
    whole = go(task, tmp_path / "whole.onnx", work=tmp_path / "one")
    for stage in ("measuring: 44 %", "training: epoch 2", "training with 8-bit rounding"):
        work, steps = tmp_path / stage.replace(":", ""), 0

        def stop(words: str, _done: int, _total: int, stage: str = stage) -> None:
            nonlocal steps
            steps += words.startswith(stage)
            if steps == (1 if stage.startswith("measuring") else 2):
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            go(task, tmp_path / "stopped.onnx", work=work, progress=stop)
        assert not (tmp_path / "stopped.onnx").exists()
        again = go(task, tmp_path / "again.onnx", work=work)
        assert (again.sha256, again.agreement_int8) == (whole.sha256, whole.agreement_int8)


def test_the_same_again_is_answered_from_the_work_directory(
    task: tiny.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = go(task, tmp_path / "a.onnx")
    monkeypatch.setattr(run.Trainer, "run", lambda *_: pytest.fail("trained again"))
    assert go(task, tmp_path / "b.onnx").sha256 == first.sha256


def test_what_was_measured_and_raced_is_not_done_again(
    task: tiny.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    monkeypatch.setattr(run, "SMALLEST_IMAGE", 8)  # so that two families meet and race

    def stop(words: str, _done: int, _total: int) -> None:
        if words.startswith("training: epoch 1"):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        go(task, tmp_path / "student.onnx", work=work, progress=stop)
    assert len(list(work.glob("race-*.pt"))) == 2
    (work / "chosen.json").unlink()
    monkeypatch.setattr(students.KnownMeter, "__call__", lambda *_: pytest.fail("measured again"))
    monkeypatch.setattr(run.Trainer, "_step", lambda *_: pytest.fail("raced again"))
    said: list[str] = []
    with pytest.raises(pytest.fail.Exception, match="raced again"):  # by the training itself, which has steps left
        go(task, tmp_path / "student.onnx", work=work, progress=lambda words, _a, _b: said.append(words))
    assert len([line for line in said if line.endswith("nats from the original")]) == 2


def test_a_work_directory_of_another_question_is_refused(task: tiny.Task, tmp_path: Path) -> None:
    work = tmp_path / "work"
    go(task, tmp_path / "a.onnx", target=20.0, work=work, settings=Settings(epochs=1, batch=16))
    with pytest.raises(UsageError, match="holds another distillation"):
        go(task, tmp_path / "a.onnx", target=10.0, work=work, settings=Settings(epochs=1, batch=16))


def test_an_unreachable_target_is_a_budget_error_and_writes_nothing(task: tiny.Task, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match=r"no student reaches 0\.01 ms"):
        go(task, tmp_path / "student.onnx", target=0.01)
    assert not list(tmp_path.glob("student*"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": 0.0}, "above zero, got 0 ms"),
        ({"settings": Settings(epochs=0)}, "epochs must be in 1"),
        ({"settings": Settings(batch=1)}, "at least 2 images, got 1"),
        ({"settings": Settings(rate=0.0)}, "learning rate must be above 0"),
        ({"settings": Settings(device="tpu")}, "device 'tpu' is not one of cpu, cuda"),
        ({"settings": Settings(threads=0)}, "threads must be at least 1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    task: tiny.Task, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        go(task, tmp_path / "student.onnx", **change)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused(task: tiny.Task, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no CUDA device"):
        go(task, tmp_path / "student.onnx", settings=Settings(device="cuda"))


def test_an_output_in_no_directory_is_refused_before_any_work(task: tiny.Task, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(UsageError, match="cannot be a file"):
        go(task, tmp_path / "absent" / "student.onnx")
    with pytest.raises(DataError, match="is not there"):
        distill(task.model, tmp_path / "absent", 2.0, tmp_path / "s.onnx", settings=QUICK)
    assert not (tmp_path / "cache" / "distill").exists()
    assert time.monotonic() >= started


def test_rounding_that_does_not_help_is_left_out_and_said(
    task: tiny.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "ROUNDING_RATE", 300.0)  # a rate that spoils the student
    made = go(task, tmp_path / "student.onnx")
    assert any("it did not help" in note for note in made.notes)
    assert made.agreement > 0.8


def test_a_twin_that_computes_something_else_is_noticed(
    task: tiny.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saboteur: a ReLU that lets a tenth of the negatives through."""
    from shoestring.training import operators

    monkeypatch.setitem(operators._MAKERS, "Relu", lambda *_: lambda x: torch.where(x > 0, x, 0.1 * x))
    with pytest.raises(ModelError, match="torch and ONNX Runtime differ by"):
        go(task, tmp_path / "student.onnx")


def test_a_student_of_another_interface_is_noticed(
    task: tiny.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saboteur: a written student whose output has another name."""
    honest = run.to_graph

    def renamed(network: Any, graph: Any) -> Any:
        made = honest(network, graph)
        made.nodes[-1].output[0] = made.proto.graph.output[0].name = "scores"
        made.reindex()
        return made

    monkeypatch.setattr(run, "to_graph", renamed)
    with pytest.raises(EngineError, match=r"'scores'.*, not .*'logits'"):
        go(task, tmp_path / "student.onnx", settings=Settings(epochs=1, batch=16, int8_epochs=False))
    assert not (tmp_path / "student.onnx").exists()
