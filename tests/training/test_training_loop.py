"""Training lowers the loss, can stop anywhere and go on with the same result, and reads no foreign code."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nets
from shoestring.base.errors import EngineError, StorageError
from training import students

torch = students.torch_or_skip()

from shoestring.training import augment, loop, network  # noqa: E402

IMAGES = nets.images(96)


def feed(indices: Sequence[int]) -> Iterator[Any]:
    for start in range(0, len(indices), 16):
        yield torch.from_numpy(IMAGES[list(indices[start : start + 16])])


def judge(_: Any) -> tuple[float, float]:
    return 0.0, 1.0


def silent(*_: Any) -> None:
    """No progress."""


def trainer(epochs: int = 3, rate: float = 3e-3, student_seed: int = 7) -> loop.Trainer:
    teacher = network.Network(students.wide_net(1, blocks=1))
    student = network.Network(students.wide_net(student_seed, blocks=1))
    network.add_norms(student, list(feed(range(32))))
    schedule = loop.Schedule(epochs, 16, rate, 5, "training")
    torch.set_num_threads(1)
    return loop.Trainer(teacher, student, feed, range(80), schedule)


def state_of(one: loop.Trainer) -> list[np.ndarray]:
    return [value.numpy().copy() for value in one.average.state_dict().values()]


def kl_on_held(one: Any, teacher: Any) -> float:
    x = torch.from_numpy(IMAGES[80:])
    with torch.no_grad():
        wanted = torch.log_softmax(teacher(x), 1)
        return float((wanted.exp() * (wanted - torch.log_softmax(one.eval()(x), 1))).sum(1).mean())


def test_distillation_brings_the_student_nearer_to_the_original_on_images_it_never_saw() -> None:
    one = trainer(epochs=12)
    before = kl_on_held(one.student, one.teacher)
    one.run(None, judge, silent)
    assert kl_on_held(one.average, one.teacher) < 0.5 * before


def test_the_original_is_not_changed() -> None:
    one = trainer(epochs=1)
    before = [value.clone() for value in one.teacher.state_dict().values()]
    one.run(None, judge, silent)
    assert all(torch.equal(a, b) for a, b in zip(before, one.teacher.state_dict().values(), strict=True))


def interrupt_after(steps: int) -> Any:
    """A progress that presses Ctrl-C after so many steps."""
    calls = 0

    def progress(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == steps:
            os.kill(os.getpid(), signal.SIGINT)

    return progress


@pytest.mark.parametrize("steps", [2, 5, 8])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path, steps: int) -> None:
    whole = trainer()
    whole.run(None, judge, silent)
    checkpoint = tmp_path / "float.pt"
    stopped = trainer()
    with pytest.raises(KeyboardInterrupt):
        stopped.run(checkpoint, judge, interrupt_after(steps))
    assert 0 < stopped.done < stopped.total
    resumed = trainer(student_seed=8)  # other weights: everything must come from the checkpoint
    resumed.run(checkpoint, judge, silent)
    assert resumed.done == whole.done
    for a, b in zip(state_of(whole), state_of(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("forgotten", ["optimizer", "average", "done"])
def test_a_checkpoint_that_forgets_something_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    """Saboteur: the test above would fail if any of these were not restored."""
    whole = trainer()
    whole.run(None, judge, silent)
    checkpoint = tmp_path / "float.pt"
    with pytest.raises(KeyboardInterrupt):
        trainer().run(checkpoint, judge, interrupt_after(5))
    state = loop.load_state(checkpoint)
    fresh = trainer(student_seed=8)
    state[forgotten] = {"optimizer": fresh.optimizer.state_dict(), "average": fresh.average.state_dict(), "done": 0}[
        forgotten
    ]
    monkeypatch.setattr(loop, "load_state", lambda _: state)
    fresh.run(checkpoint, judge, silent)
    same = [np.array_equal(a, b) for a, b in zip(state_of(whole), state_of(fresh), strict=True)]
    assert not all(same)


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "float.pt"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(StorageError, match="cannot be read"):
        trainer().load(path)
    trainer(epochs=2).save(path)
    with pytest.raises(StorageError, match="10 steps, this one has 15"):
        trainer(epochs=3).load(path)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("touched"),))


def test_a_checkpoint_with_code_in_it_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"done": Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(StorageError, match="cannot be read"):
        loop.load_state(tmp_path / "bomb.pt")
    assert not (tmp_path / "touched").exists()
    with (tmp_path / "plain").open("wb") as stream:  # the bomb is one: a loader without the flag would set it off
        pickle.dump(Bomb(), stream)
    with (tmp_path / "plain").open("rb") as stream:
        pickle.load(stream)  # noqa: S301
    assert (tmp_path / "touched").exists()


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    one = trainer()
    with torch.no_grad():
        next(iter(one.student.layers.values())).weight.fill_(float("nan"))
    with pytest.raises(EngineError, match="loss is nan at step 1"):
        one.run(None, judge, silent)


def test_progress_tells_loss_agreement_and_time() -> None:
    said: list[str] = []
    trainer(epochs=2).run(None, lambda _: (0.25, 0.5), lambda words, _done, _total: said.append(words))
    assert any("epoch 2 of 2: loss" in line and "50.0 % agreement" in line and "left" in line for line in said)


def test_the_rate_rises_and_falls() -> None:
    one = trainer(epochs=20)
    rates = [one.rate(step) for step in range(one.total)]
    assert max(rates) == pytest.approx(one.schedule.rate)
    assert rates[0] < rates[4] > rates[50] > rates[-1]
    assert rates[-1] < 0.01 * one.schedule.rate


def test_a_view_hangs_on_its_seed_alone() -> None:
    x = torch.from_numpy(IMAGES[:8])
    first = augment.view(x, 3)
    assert torch.equal(first, augment.view(x, 3))
    assert not torch.equal(first, augment.view(x, 4))
    assert first.shape == x.shape
