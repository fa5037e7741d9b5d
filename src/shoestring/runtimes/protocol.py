"""What every runtime offers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy.typing as npt

from shoestring.domain.model import TensorSpec

Array = npt.NDArray[Any]


class Session(Protocol):
    """A loaded model. Not shared between threads; `close` may be called twice."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """One inference.

        Args:
            feeds: an array for every input, of its dtype and shape; a free dimension takes any length of at least 1.

        Returns:
            An array for every output.

        Raises:
            EngineError: a missing or unknown input, a wrong dtype or shape, a failure inside the engine, or a session
                that was closed.
        """
        ...

    def close(self) -> None:
        """Free the engine's memory."""
        ...

    def __enter__(self) -> Session: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Runtime(Protocol):
    """An engine."""

    name: str

    def version(self) -> str:
        """Of the engine, as certificates name it. Raises MissingExtraError when it is not installed."""
        ...

    def load(self, model: Path | bytes, threads: int) -> Session:
        """Load a model file (or its bytes).

        Args:
            model: ONNX.
            threads: compute threads, at least 1.

        Raises:
            MissingExtraError: the engine is not installed.
            EngineError: the engine refuses the model; the message holds its reason in one line.
        """
        ...


__all__ = ["Array", "Runtime", "Session"]
