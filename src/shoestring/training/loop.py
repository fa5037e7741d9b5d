"""Training a student from the original's answers, in steps that can stop and go on with the same result.

Loss: KL divergence of the student's softened answer from the original's (Hinton et al., "Distilling the Knowledge in a
Neural Network", arXiv:1503.02531), times the square of the temperature. AdamW (Loshchilov & Hutter, ICLR 2019) with a
short rise and a cosine fall of the rate; the answer is the running average of the weights (Polyak & Juditsky 1992).
Everything random hangs on the seed, the epoch and the step alone.
"""

from __future__ import annotations

import copy
import io
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from shoestring.base import disk
from shoestring.base.errors import EngineError, StorageError
from shoestring.training.augment import view
from shoestring.training.lib import functional, torch
from shoestring.training.network import Network, log_probabilities

TEMPERATURE = 2.0
WEIGHT_DECAY = 1e-4
RISE = 0.05  # part of the steps in which the rate rises
AVERAGE = 0.998
GRADIENT_NORM = 5.0

Feed = Callable[[Sequence[int]], Iterator[Any]]
"""Indices -> batches of inputs on the device."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Args:
        epochs: rounds over the images; at least 1.
        batch: images a step.
        rate: highest learning rate.
        seed: of order and views.
        name: of the stage, for progress.
    """

    epochs: int
    batch: int
    rate: float
    seed: int
    name: str

    def steps_per_epoch(self, images: int) -> int:
        """A last batch that is not full is left out, unless it is the only one."""
        return max(1, images // self.batch)


class Trainer:
    """One stage of training.

    Args:
        teacher: the original, which is not changed.
        student: trained in place; `average` holds the answer.
        feed: loads images.
        images: indices to learn from.
        schedule: how long and how fast.
        most_steps: stop after this many steps, whose schedule then is complete; None for all epochs.
    """

    def __init__(
        self,
        teacher: Network,
        student: Network,
        feed: Feed,
        images: Sequence[int],
        schedule: Schedule,
        most_steps: int | None = None,
    ) -> None:
        self.teacher, self.student, self.feed = teacher.eval(), student, feed
        self.images, self.schedule = tuple(images), schedule
        self.average = copy.deepcopy(student).eval()
        self.optimizer = torch.optim.AdamW(student.parameters(), schedule.rate, weight_decay=WEIGHT_DECAY)
        self.per_epoch = schedule.steps_per_epoch(len(self.images))
        self.total = schedule.epochs * self.per_epoch
        if most_steps is not None:
            self.total = min(self.total, most_steps)
        self.done = 0
        self.loss = math.nan

    def run(
        self,
        checkpoint: Path | None,
        judge: Callable[[Network], tuple[float, float]],
        progress: Callable[[str, int, int], None],
    ) -> None:
        """Train to the end, from `checkpoint` if it is there. It is written each epoch, and on Ctrl-C.

        Args:
            checkpoint: file, or None to keep nothing.
            judge: mean KL (nats) and agreement with the original on held-out images.
            progress: called as work goes on.

        Raises:
            KeyboardInterrupt: after the checkpoint is written.
            EngineError: the loss is no number.
        """
        if checkpoint is not None and checkpoint.exists():
            self.load(checkpoint)
        started, first = time.monotonic(), self.done
        with _Interrupt() as interrupt:
            while self.done < self.total:
                epoch = self.done // self.per_epoch
                self._epoch(epoch, interrupt, progress)
                if checkpoint is not None:
                    self.save(checkpoint)
                if interrupt.asked:
                    raise KeyboardInterrupt
                left = (time.monotonic() - started) / (self.done - first) * (self.total - self.done)
                kl, agreement = judge(self.average)
                progress(
                    f"{self.schedule.name}: epoch {epoch + 1} of {self.schedule.epochs}: loss {self.loss:.4f}, "
                    f"{kl:.4f} nats and {100 * agreement:.1f} % agreement on held-out images, {_minutes(left)} left",
                    self.done,
                    self.total,
                )

    def _epoch(self, epoch: int, interrupt: _Interrupt, progress: Callable[[str, int, int], None]) -> None:
        """The steps of one epoch that are still to be done."""
        order = torch.randperm(len(self.images), generator=self._generator(epoch, -1)).tolist()
        begin = (self.done - epoch * self.per_epoch) * self.schedule.batch
        chosen = [self.images[place] for place in order[begin : self.per_epoch * self.schedule.batch]]
        end = min(self.total, (epoch + 1) * self.per_epoch)
        for batch in self.feed(chosen):
            loss = self._step(batch, epoch)
            self.loss = loss if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * loss
            self.done += 1
            progress(f"{self.schedule.name}: epoch {epoch + 1} of {self.schedule.epochs}", self.done, self.total)
            if interrupt.asked or self.done >= end:
                return

    def _step(self, batch: Any, epoch: int) -> float:
        seen = view(batch, self._seed(epoch, self.done))
        with torch.no_grad():
            wanted = functional.softmax(log_probabilities(self.teacher, self.teacher(seen)) / TEMPERATURE, dim=1)
        self.student.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.done)
        given = functional.log_softmax(log_probabilities(self.student, self.student(seen)) / TEMPERATURE, dim=1)
        loss = TEMPERATURE**2 * functional.kl_div(given, wanted, reduction="batchmean")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), GRADIENT_NORM)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise EngineError(
                f"the loss is {value} at step {self.done + 1} of {self.schedule.name}", hint="lower --rate"
            )
        self.optimizer.step()
        self._move_average()
        return value

    def _move_average(self) -> None:
        part = 1 - min(AVERAGE, (1 + self.done) / (10 + self.done))
        with torch.no_grad():
            for mean, value in zip(self.average.state_dict().values(), self.student.state_dict().values(), strict=True):
                if mean.dtype.is_floating_point:
                    mean.lerp_(value, part)
                else:
                    mean.copy_(value)

    def rate(self, step: int) -> float:
        """Learning rate of a step: a linear rise, then half a cosine (Loshchilov & Hutter, "SGDR", ICLR 2017)."""
        rise = max(1, round(RISE * self.total))
        if step < rise:
            return self.schedule.rate * (step + 1) / rise
        return self.schedule.rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, self.total - rise)))

    def save(self, path: Path) -> None:
        """Everything that the next step depends on. Raises StorageError."""
        stream = io.BytesIO()
        torch.save(
            {
                "done": self.done,
                "total": self.total,
                "loss": self.loss,
                "student": self.student.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
            stream,
        )
        disk.write_bytes(path, stream.getvalue())

    def load(self, path: Path) -> None:
        """Go on from a checkpoint. Raises StorageError when it is damaged or of another run."""
        state = load_state(path)
        if state.get("total") != self.total:
            raise StorageError(
                f"{path} is of a run of {state.get('total')} steps, this one has {self.total}",
                hint="use another --work directory",
            )
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done, self.loss = state["done"], state["loss"]

    def _seed(self, epoch: int, step: int) -> int:
        return (self.schedule.seed * 1_000_003 + epoch) * 1_000_003 + step + 1

    def _generator(self, epoch: int, step: int) -> Any:
        return torch.Generator().manual_seed(self._seed(epoch, step))


def load_state(path: Path) -> dict[str, Any]:
    """Tensors and numbers of a checkpoint; nothing in it is executed. Raises StorageError."""
    import pickle  # only for the class of torch's error

    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise StorageError(
            f"{path} cannot be read: {(str(error).splitlines() or ['damaged'])[0]}", hint="remove it and start again"
        ) from error
    return state


def _minutes(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"


class _Interrupt:
    """Ctrl-C is noted, not obeyed at once, so that no step is left half done. A second one is obeyed."""

    asked = False

    def __enter__(self) -> _Interrupt:
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._main:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
