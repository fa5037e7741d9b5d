"""What every adapter checks, so that a mistake gives the same words whichever engine meets it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import EngineError, UsageError
from shoestring.base.limits import MAX_MODEL_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shoestring.domain.model import TensorSpec
    from shoestring.runtimes.protocol import Array

MAX_REASON_CHARACTERS = 400  # engines append stack traces and whole graphs to their reasons


def check_threads(threads: int) -> None:
    """Refuse a thread count below one. Raises UsageError."""
    if threads < 1:
        raise UsageError(f"thread count {threads} is below 1", hint="use 1, or the number of cores")


def check_feeds(inputs: tuple[TensorSpec, ...], feeds: Mapping[str, Array]) -> None:
    """Hold `feeds` against what a session takes.

    Args:
        inputs: of the session.
        feeds: what the caller brought; it must hold an array for every input and nothing else.

    Raises:
        EngineError: a missing or unknown input, something that is no array, a wrong dtype or a wrong shape.
    """
    names = [spec.name for spec in inputs]
    listed = ", ".join(repr(name) for name in names) or "none"
    for name in feeds:
        if name not in names:
            raise EngineError(f"the model has no input {name!r}", hint=f"its inputs are: {listed}")
    for spec in inputs:
        if spec.name not in feeds:
            raise EngineError(f"no array was given for input {spec.name!r}", hint=f"the inputs are: {listed}")
        _check_one(spec, feeds[spec.name])


def _check_one(spec: TensorSpec, value: object) -> None:
    if not isinstance(value, np.ndarray):
        raise EngineError(
            f"input {spec.name!r} was given a {type(value).__name__}, not a numpy array",
            hint="wrap it in numpy.asarray",
        )
    if value.dtype != np.dtype(spec.dtype):
        raise EngineError(
            f"input {spec.name!r} takes {spec.dtype}, got {value.dtype}",
            hint=f"convert it with .astype({spec.dtype!r})",
        )
    same_rank = len(spec.shape) == value.ndim
    if not same_rank or any(
        got != want if want is not None else got < 1 for want, got in zip(spec.shape, value.shape, strict=True)
    ):
        raise EngineError(
            f"input {spec.name!r} takes shape {format_shape(spec.shape)}, got {format_shape(value.shape)}",
            hint="'?' is any length of at least 1",
        )


def check_answers(answers: Mapping[str, Array]) -> None:
    """Refuse answers that hold NaN: what an engine makes of a broken model is worth nothing. Raises EngineError."""
    for name, values in answers.items():
        broken = int(np.isnan(values).sum()) if values.dtype.kind == "f" else 0
        if broken:
            raise EngineError(
                f"output {name!r} holds NaN in {broken} of {values.size} values",
                hint="the model overflows or is broken",
            )


def format_shape(shape: tuple[int | None, ...]) -> str:
    """(None, 3, 96, 96) -> '(?, 3, 96, 96)'."""
    return "(" + ", ".join("?" if length is None else str(length) for length in shape) + ")"


def model_bytes(model: Path | bytes) -> bytes:
    """The model's bytes. Raises EngineError for a file that cannot be read, or beyond the size limit."""
    if isinstance(model, bytes):
        return model
    try:
        size = model.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise EngineError(f"{model} has {size} bytes, more than the limit of {MAX_MODEL_BYTES}")
        return model.read_bytes()
    except OSError as error:
        raise EngineError(f"cannot read {model}: {error.strerror or error}", hint="check the path") from error


def model_name(model: Path | bytes) -> str:
    """How messages call a model."""
    return f"model of {len(model)} bytes" if isinstance(model, bytes) else str(model)


def one_line(reason: object) -> str:
    """An engine's words on one line, cut to a readable length."""
    words = " ".join(str(reason).split())
    if not words:
        return type(reason).__name__
    return words if len(words) <= MAX_REASON_CHARACTERS else words[: MAX_REASON_CHARACTERS - 3] + "..."


__all__ = ["check_answers", "check_feeds", "check_threads", "format_shape", "model_bytes", "model_name", "one_line"]
