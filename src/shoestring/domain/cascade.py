"""Rungs that run one after the other, each where the one before it was not sure enough."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.base.canonical import digest
from shoestring.domain.score import Certificate


@dataclass(frozen=True)
class Stage:
    """One rung of a cascade.

    Args:
        rung: name of a candidate; it need not be on the ladder, since it need not keep the budget alone.
        artefact_sha256: of its model file.
        threads: that it runs at.
        threshold: its answer stands where its sureness is at least this level (see `base.sureness`); None for the last
            stage, whose answer always stands.
        probabilities: whether its outputs are probabilities already; else they go through a softmax.
        latency_ms: of the rung, median, as measured at `threads`.
        overhead_ms: what the cascade adds to it: preparing its input and asking how sure it is.
        answered: images of the selection split that it answers.
        answered_certification: of the certification split.
    """

    rung: str
    artefact_sha256: str
    threads: int
    threshold: int | None
    probabilities: bool
    latency_ms: float
    overhead_ms: float
    answered: int
    answered_certification: int


@dataclass(frozen=True)
class Cascade:
    """What the certificate speaks of is the whole: the stages in this order with these thresholds.

    Args:
        measure: of sureness, one of `base.sureness.MEASURES`.
        stages: from cheap to dear, two or three.
        expected_ms: mean over the selection split of the time of all stages that an image passes.
        certificate: of the drop of the whole; its artefact is `identity`, its runtime `cascade`.
    """

    measure: str
    stages: tuple[Stage, ...]
    expected_ms: float
    certificate: Certificate

    @property
    def worst_ms(self) -> float:
        """Of an image that passes every stage."""
        return passing_ms(self.stages, len(self.stages))

    @property
    def shares(self) -> tuple[float, ...]:
        """Of the selection split, that each stage answers."""
        total = sum(stage.answered for stage in self.stages)
        return tuple(stage.answered / total for stage in self.stages)

    @property
    def shares_certification(self) -> tuple[float, ...]:
        """Of the certification split, that each stage answers."""
        total = sum(stage.answered_certification for stage in self.stages)
        return tuple(stage.answered_certification / total for stage in self.stages)

    @property
    def observed_ms(self) -> float:
        """`expected_ms` with the shares of the certification split."""
        return mean_ms(self.stages, tuple(stage.answered_certification for stage in self.stages))

    def stage(self, rung: str) -> Stage:
        """The stage of that rung. Raises KeyError."""
        for stage in self.stages:
            if stage.rung == rung:
                return stage
        raise KeyError(rung)


RUNTIME = "cascade"
"""What the certificate of a cascade names as its runtime."""


def stands(level: int, threshold: int | None) -> bool:
    """Whether a stage's answer stands: the one rule that the workshop certifies and the device runs."""
    return threshold is None or level >= threshold


def identity(measure: str, stages: tuple[Stage, ...]) -> str:
    """SHA-256 of everything that decides a cascade's answers: model files, order, thresholds, measure."""
    parts = [
        {
            "artefact": stage.artefact_sha256,
            "probabilities": stage.probabilities,
            "threshold": stage.threshold,
        }
        for stage in stages
    ]
    return digest({"measure": measure, "stages": parts})


def passing_ms(stages: tuple[Stage, ...], count: int) -> float:
    """Time of an image that passes the first `count` stages."""
    return sum(stage.latency_ms + stage.overhead_ms for stage in stages[:count])


def mean_ms(stages: tuple[Stage, ...], answered: tuple[int, ...]) -> float:
    """Mean time of images of which each stage answers so many."""
    spent = sum(count * passing_ms(stages, place) for place, count in enumerate(answered, start=1))
    return spent / sum(answered)
