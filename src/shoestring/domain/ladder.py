"""Rungs in order of cost, and what was left out with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoestring.base.canonical import WHEN_SET
from shoestring.domain.cascade import Cascade
from shoestring.domain.cost import Cost
from shoestring.domain.divergence import Divergence, KlCertificate
from shoestring.domain.recipe import Recipe
from shoestring.domain.score import Certificate, Score

HOME_RUNTIME = "onnxruntime"
"""Candidates on this runtime are called by their recipe alone."""


def candidate_name(recipe: Recipe, runtime: str) -> str:
    """`int8` on ONNX Runtime, `int8@native` elsewhere: one recipe may be tried on several runtimes."""
    return recipe.name if runtime == HOME_RUNTIME else f"{recipe.name}@{runtime}"


@dataclass(frozen=True)
class Candidate:
    """One variant with everything known about it.

    Args:
        recipe: how it was made.
        runtime: that runs it.
        runtime_version: of that runtime.
        artefact_sha256: of its model file.
        cost: measured here.
        scores: on the selection split: top-1 first (or agreement), then top-5 where it makes sense.
        notes: what its passes said: layers left in float, operators that fell back.
        divergence: of a model that writes text, on the selection split, instead of scores; None of any other.
    """

    recipe: Recipe
    runtime: str
    runtime_version: str
    artefact_sha256: str
    cost: Cost
    scores: tuple[Score, ...]
    notes: tuple[str, ...]
    divergence: Divergence | None = field(default=None, metadata=WHEN_SET)

    @property
    def name(self) -> str:
        return candidate_name(self.recipe, self.runtime)

    @property
    def score(self) -> Score:
        return self.scores[0]


@dataclass(frozen=True)
class Rung:
    """A candidate on the ladder.

    Args:
        threads: the thread count it is meant to run at.
        certificate: None only for the reference rung, which computes the original's own function.
        kl_certificate: of a model that writes text, in its place.
    """

    candidate: Candidate
    threads: int
    certificate: Certificate | None
    kl_certificate: KlCertificate | None = field(default=None, metadata=WHEN_SET)

    @property
    def name(self) -> str:
        return self.candidate.name


@dataclass(frozen=True)
class Rejected:
    """A candidate that is not on the ladder, and why, with its numbers."""

    candidate: Candidate
    reason: str


@dataclass(frozen=True)
class Offered:
    """A rung for an accelerator that was not at hand: neither measured nor certified, and never chosen but by name.

    Args:
        rung: without a certificate, with an estimated cost.
        stand_in: runtime with its version that gave its scores and golden outputs here.
        why: what that tells of the accelerator and what not, and what is left to do, in words.
    """

    rung: Rung
    stand_in: str
    why: str

    @property
    def name(self) -> str:
        return self.rung.name


@dataclass(frozen=True)
class Ladder:
    """Rungs from cheapest to dearest; `chosen` names the one that the budget asks for.

    `offered` are rungs for accelerators that nothing was measured on; None where there are none.

    `cascade`, where it pays, runs several candidates as one; some of them may stand among the rejected, since alone
    they do not keep the budget.
    """

    rungs: tuple[Rung, ...]
    rejected: tuple[Rejected, ...]
    chosen: str
    cascade: Cascade | None = None
    offered: tuple[Offered, ...] | None = field(default=None, metadata=WHEN_SET)

    @property
    def runnable(self) -> tuple[Rung, ...]:
        """The rungs, then the stages of the cascade that are none, then what is offered for accelerators.

        Raises:
            KeyError: an unknown stage.
        """
        return (*self.rungs, *self._stages(), *(one.rung for one in self.offered or ()))

    def _stages(self) -> tuple[Rung, ...]:
        if self.cascade is None:
            return ()
        known = {rung.name for rung in self.rungs}
        others = {item.candidate.name: item.candidate for item in self.rejected}
        stages = [stage for stage in self.cascade.stages if stage.rung not in known]
        return tuple(Rung(others[stage.rung], stage.threads, None) for stage in stages)

    def rung(self, name: str) -> Rung:
        """The rung called `name`, offered ones too. Raises KeyError."""
        for rung in (*self.rungs, *(one.rung for one in self.offered or ())):
            if rung.name == name:
                return rung
        raise KeyError(name)
