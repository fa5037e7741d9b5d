"""What a model that writes text would take on a chip, from its header: before anything is fetched or quantized."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.domain.estimate import Estimate, NoClaim
from shoestring.domain.transformer import Transformer


@dataclass(frozen=True)
class LanguageWish:
    """What is asked of a plan.

    Args:
        context: tokens of the conversation that rates are given for.
        cache: block type of keys and values.
        threads: None for all large cores.
        prompt: tokens of a usual prompt.
    """

    context: int = 2048
    cache: str = "F16"
    threads: int | None = None
    prompt: int = 256


@dataclass(frozen=True)
class ContextPlan:
    """Memory at one length of context.

    Args:
        context: tokens.
        memory: peak bytes of the process.
        fits: one of `domain.forecast.FITS`: whether that is within what the chip leaves to a model.
    """

    context: int
    memory: Estimate
    fits: str


@dataclass(frozen=True)
class LanguagePlan:
    """A model on a chip.

    Args:
        model: name of the file.
        shape: its dimensions.
        file_bytes: of the file as planned.
        types: (block type, bytes), the largest first.
        chip: name.
        title: of the chip.
        wish: what was asked.
        memory: by rising context.
        longest: tokens of the longest context that fits; None where not even the shortest does, or nobody knows the
            chip's memory.
        reading: tokens a second of a prompt.
        writing: tokens a second after the asked context.
        first_token: seconds from a prompt to its first token.
        energy: mJ for each token written.
        watts: of the whole board while it writes.
        price: USD for a million tokens written.
        fits: of the asked context.
        warnings: worth showing.
    """

    model: str
    shape: Transformer
    file_bytes: int
    types: tuple[tuple[str, int], ...]
    chip: str
    title: str
    wish: LanguageWish
    memory: tuple[ContextPlan, ...]
    longest: int | None
    reading: Estimate | NoClaim
    writing: Estimate | NoClaim
    first_token: Estimate | NoClaim
    energy: Estimate | NoClaim
    watts: Estimate | NoClaim
    price: Estimate | NoClaim
    fits: str
    warnings: tuple[str, ...] = ()
