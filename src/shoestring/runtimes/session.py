"""The part of a session that is the same for every engine: checks, closing, the with statement."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.errors import EngineError
from shoestring.runtimes.checks import check_feeds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from shoestring.domain.model import TensorSpec
    from shoestring.runtimes.protocol import Array


class CheckedSession(ABC):
    """A `Session` whose engine only ever sees feeds that fit.

    Args:
        inputs: what the model takes.
        outputs: what it answers.
    """

    def __init__(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._closed = False
        self._passed: list[tuple[str, np.dtype[Any], tuple[int, ...]]] = []

    @abstractmethod
    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """One inference with feeds that were checked. Raises EngineError."""

    @abstractmethod
    def _free(self) -> None:
        """Give the engine's memory and threads back; called once."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `runtimes.protocol.Session.run`."""
        if self._closed:
            raise EngineError("this session was closed", hint="load the model again")
        if not self._look_alike(feeds):
            check_feeds(self.inputs, feeds)
            self._passed = [(name, value.dtype, value.shape) for name, value in feeds.items()]
        return self._infer(feeds)

    def _look_alike(self, feeds: Mapping[str, Array]) -> bool:
        """Whether they have the names, types and shapes of those that passed the checks last."""
        if len(feeds) != len(self._passed) or not self._passed:
            return False
        for name, dtype, shape in self._passed:
            value = feeds.get(name)
            if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype != dtype:
                return False
        return True

    def close(self) -> None:
        """Free the engine's memory; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._free()

    def __enter__(self) -> CheckedSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


__all__ = ["CheckedSession"]
