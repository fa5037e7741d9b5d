"""A writer without a model: it answers what it was told to, in a real process, by the real protocol, with real faults.

Its "model" is a file of JSON with the fields of `NullPlan`; what builds on writers is tested with it, without weights:

    with null_writer(write_plan(folder / "null.json", NullPlan(words=("one ", "two ")))) as writer: ...

A prompt with the word `poison:FAULT` brings that fault, one of POISONS, after the first piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shoestring.base import canonical
from shoestring.base.disk.whole import write_bytes
from shoestring.runtimes.llamacpp.writer import LIMITS, Writer

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.runtimes.guarded import Limits

SERVE = "shoestring.runtimes.llamacpp.null_child:serve"
POISONS = ("crash", "exit", "hang", "flood", "garbage", "long-line", "leak", "cut", "refuse")
"""Killed by a signal; an exit; silence; 20 MB of words on stderr; no JSON; an endless line; 1 GB of memory; an answer
that ends too early; an error in the middle."""
POISON = "poison:"
CANCELLED = "ask:cancelled"
"""A prompt with this word is answered with the number of answers so far whose reader hung up."""


@dataclass(frozen=True)
class NullPlan:
    """What a null model does.

    Args:
        words: tokens of every answer.
        echo: answers are the words of the prompt instead, each with a space after it.
        logprob: log-probability of each token.
        load_s: that loading takes.
        read_s: before the first token.
        token_s: before each other one.
        loading: fault while loading: `crash`, `hang`, `refuse`, or empty for none.
    """

    words: tuple[str, ...] = ("All ", "is ", "well", ".")
    echo: bool = False
    logprob: float = -0.5
    load_s: float = 0.0
    read_s: float = 0.0
    token_s: float = 0.0
    loading: str = ""


def write_plan(path: Path, plan: NullPlan) -> Path:
    """Write the file that a null writer takes for a model. Returns its path."""
    write_bytes(path, canonical.encode(plan))
    return path


def null_writer(plan: Path, *, context: int = 256, slots: int = 1, limits: Limits = LIMITS, **others: Any) -> Writer:
    """A writer whose process runs a plan; a token of a prompt is a word between spaces. Arguments as of `Writer`."""
    return Writer(plan, context=context, slots=slots, limits=limits, serve=SERVE, **others)


__all__ = ["CANCELLED", "POISON", "POISONS", "NullPlan", "null_writer", "write_plan"]
