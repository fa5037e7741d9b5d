"""Which block type each tensor of a language model may take, what that costs, and a choice of one for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TypeChoice:
    """One tensor in one type.

    Args:
        tensor: name in the file.
        type: how its elements would be stored (Q4_K).
        size_bytes: that it would take.
        loss: predicted KL(original || model with this tensor alone in this type) of a token, nats, at least 0.
        token_s: seconds that one token spends on it on the chip; 0 where no time is asked for.
    """

    tensor: str
    type: str
    size_bytes: int
    loss: float
    token_s: float = 0.0


@dataclass(frozen=True)
class Mix:
    """A type for each tensor.

    Args:
        types: by the tensor's name.
        size_bytes: of these tensors.
        loss: predicted: the sum of their losses, nats a token.
        bound: no choice within the same limits has a smaller sum than this, nats a token.
        token_s: the sum of their seconds a token.
    """

    types: dict[str, str]
    size_bytes: int
    loss: float
    bound: float
    token_s: float = 0.0


@dataclass(frozen=True)
class Findings:
    """What each tensor's rounding costs, measured on calibration text.

    Args:
        choices: every tensor in every type that applies to it.
        blocks: of text.
        tokens: of all blocks.
        seed: of the drawn tokens and rows.
    """

    choices: tuple[TypeChoice, ...]
    blocks: int
    tokens: int
    seed: int
