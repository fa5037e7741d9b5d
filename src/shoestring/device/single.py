"""One model as a device runs it: one image at a time. The workshop certifies cascades through this same code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import EngineError
from shoestring.inputs.image import tensor
from shoestring.inputs.rescale import rescale

if TYPE_CHECKING:
    from shoestring.domain.model import TensorSpec
    from shoestring.domain.preprocess import Preprocess
    from shoestring.runtimes.protocol import Session

Array = npt.NDArray[Any]


class Single:
    """A loaded model.

    Args:
        session: loaded; whoever made it closes it.
        input: name of the model's input; its batch may be fixed.
        output: name of the model's output.
        source: pre-processing that images come from.
        spec: the model's own; another one than `source` only for a student.
    """

    def __init__(
        self, session: Session, input: TensorSpec, output: TensorSpec, source: Preprocess, spec: Preprocess
    ) -> None:
        self.session, self.spec = session, spec
        self._input, self._output, self._source = input.name, output.name, source
        shape = session.inputs[0].shape
        self._repeats = (shape[0] if shape else None) or 1

    def prepare(self, image: Array) -> Array:
        """The model's input (1, ...) from uint8 pixels (source.height, source.width, channels)."""
        if self.spec is not self._source:
            image = rescale(image, self._source, self.spec)
        return tensor(image[np.newaxis], self.spec)

    def run(self, prepared: Array) -> Array:
        """(classes,) of a prepared input. A model with a fixed batch gets it in every place. Raises EngineError."""
        batch = np.repeat(prepared, self._repeats, axis=0) if self._repeats > 1 else prepared
        output = self.session.run({self._input: batch})[self._output]
        if output.ndim != 2 or len(output) != self._repeats:
            raise EngineError(
                f"output {self._output!r} has shape {output.shape}, not ({self._repeats}, classes)",
                hint="make the bundle again",
            )
        first: Array = output[0]
        return first

    def infer(self, image: Array) -> Array:
        """uint8 pixels -> (classes,)."""
        return self.run(self.prepare(image))
