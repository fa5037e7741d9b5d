"""A named chain of passes that compresses a model."""

from __future__ import annotations

from dataclasses import dataclass

Option = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One pass with its options."""

    name: str
    options: dict[str, Option]


@dataclass(frozen=True)
class Recipe:
    """What makes a candidate.

    Args:
        name: unique within a fit, for people: `int8`, `int8-float3`.
        precision: `fp32`, `fp16-weights`, `fp16`, `bf16`, `int8`, `int8-mixed`, `int8-w4` or `w4`.
        steps: passes in order.
        why: one sentence that says why this candidate is tried.
        loss: mean divergence of the outputs from the original's, nats: predicted from probes on the calibration split,
            and once the candidate is made, measured on the selection split; None where neither was done.
    """

    name: str
    precision: str
    steps: tuple[Step, ...]
    why: str
    loss: float | None = None
