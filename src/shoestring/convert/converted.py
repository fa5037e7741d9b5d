"""What every converter returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Converted:
    """A model in the format of one runtime.

    Args:
        data: the whole model file.
        notes: in words, what differs from the ONNX graph: operators replaced, scales that could not be kept.
    """

    data: bytes
    notes: tuple[str, ...] = ()
