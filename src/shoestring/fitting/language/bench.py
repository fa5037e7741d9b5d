"""What every step of a fit for a model that writes needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.base.canonical import digest
from shoestring.fitting.progress import Progress

if TYPE_CHECKING:
    from shoestring.base.cache import Cache
    from shoestring.domain.cost import Machine
    from shoestring.domain.recipe import Recipe
    from shoestring.evaluate.language.blocks import Blocks
    from shoestring.fitting.language.source import Source

GIVEN = "given"
"""Recipe of the file as the user gave it."""


@dataclass(frozen=True)
class Written:
    """A model file that may become a rung.

    Args:
        name: of the candidate.
        recipe: how it was made.
        path: of the file.
        sha256: of it.
        size_bytes: of it.
        notes: what its making said.
    """

    name: str
    recipe: Recipe
    path: Path
    sha256: str
    size_bytes: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bench:
    """The model, the texts and the place.

    Args:
        source: the user's model.
        blocks: calibration, selection, certification.
        cache: finished steps.
        machine: this one.
        engine: runtime with its version, for certificates and for what is kept.
        threads: that score: the budget's, or all cores.
        context: tokens that are served at most.
        seed: of splits and drawings.
        progress: is told.
    """

    source: Source
    blocks: tuple[Blocks, ...]
    cache: Cache
    machine: Machine
    engine: str
    threads: int
    context: int
    seed: int
    progress: Progress

    def split(self, name: str) -> Blocks:
        """The blocks of one split."""
        return next(one for one in self.blocks if one.split == name)

    def basis(self, split: str) -> dict[str, Any]:
        """What answers on a split hang on beside the file that gives them."""
        return {
            "engine": self.engine,
            "isa": self.machine.isa,
            "threads": self.threads,
            "runs": digest(self.split(split).runs),
            "split": split,
        }
