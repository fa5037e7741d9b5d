"""A conversion checked by running both sides: the ONNX graph on ONNX Runtime, the new file on its own runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.costmodel.feeds import SEED, random_feeds
from shoestring.runtimes import guarded, registry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shoestring.runtimes.protocol import Array, Session

EXAMPLES = 8
HOME = "onnxruntime"


@dataclass(frozen=True)
class Difference:
    """How far the answers of one output are apart.

    Args:
        output: its name.
        values: that were compared.
        identical: of them, to the last bit.
        largest: absolute difference.
        spread: largest minus smallest value on the ONNX side; what `largest` is to be held against.
    """

    output: str
    values: int
    identical: int
    largest: float
    spread: float

    @property
    def part(self) -> float:
        """`largest` as a part of `spread`; 0 where the output does not move."""
        return self.largest / self.spread if self.spread else float(self.largest > 0)


def compare(model: Path, converted: Path, runtime: str, examples: int = EXAMPLES) -> tuple[Difference, ...]:
    """Run both files on the same seeded inputs.

    Args:
        model: the ONNX graph that was converted.
        converted: what it became.
        runtime: of `converted`; it runs in a process of its own.
        examples: inputs, drawn as `costmodel.feeds` does.

    Returns:
        One difference an output, in the order of the ONNX graph.

    Raises:
        EngineError: a side cannot load or run its file, or answers NaN.
        ModelError: the sides do not name the same inputs and outputs.
    """
    with registry.get(HOME).load(model, 1) as ours, guarded.load(runtime, converted, 1) as theirs:
        _check_faces(ours, theirs, runtime)
        both = [_answers(session, ours, examples) for session in (ours, theirs)]
    return tuple(_difference(spec.name, *(side[spec.name] for side in both)) for spec in ours.outputs)


def _check_faces(ours: Session, theirs: Session, runtime: str) -> None:
    for what in ("inputs", "outputs"):
        wanted, found = ([spec.name for spec in getattr(side, what)] for side in (ours, theirs))
        if sorted(wanted) != sorted(found):
            raise ModelError(f"the {what} are {wanted} in the ONNX graph and {found} for {runtime}")


def _answers(session: Session, asked: Session, examples: int) -> dict[str, Sequence[Array]]:
    found: dict[str, list[Array]] = {spec.name: [] for spec in asked.outputs}
    for number in range(examples):
        answers = session.run(random_feeds(asked.inputs, SEED + number))
        for name, kept in found.items():
            kept.append(answers[name])
    return dict(found)


def _difference(output: str, ours: Sequence[Array], theirs: Sequence[Array]) -> Difference:
    left, right = (np.concatenate([one.ravel() for one in side]).astype(np.float64) for side in (ours, theirs))
    if left.shape != right.shape:
        raise ModelError(f"output {output!r} holds {left.size} values in the ONNX graph and {right.size} converted")
    largest = float(np.abs(left - right).max(initial=0.0))
    spread = float(np.ptp(left)) if left.size else 0.0
    return Difference(output, left.size, int((left == right).sum()), largest, spread)


__all__ = ["Difference", "compare"]
