"""What a diagnosis is made of: diseases, what was found of them, and what could not be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from shoestring.diagnosis.examination import Examination

Severity = Literal["harms", "may harm", "note"]
SEVERITIES: tuple[Severity, ...] = ("harms", "may harm", "note")
"""Worst first: it costs answers or time as the model stands; it will in some engines or recipes; good to know."""


@dataclass(frozen=True)
class Evidence:
    """What was seen at one place.

    Args:
        where: name of a node or tensor.
        seen: in words, with the figures.
        figures: the same numbers by name, units in the names.
    """

    where: str
    seen: str
    figures: dict[str, float]


@dataclass(frozen=True)
class Finding:
    """A disease that the model has.

    Args:
        severity: of this case.
        summary: one sentence with the figures that decide.
        evidence: place by place, worst first.
        cure: one sentence that names a command or a rewrite.
    """

    severity: Severity
    summary: str
    evidence: tuple[Evidence, ...]
    cure: str


@dataclass(frozen=True)
class Unexamined:
    """What a disease could not look at, and why."""

    why: str


@dataclass(frozen=True)
class Remark:
    """Something that a disease knows of a model that does not have it."""

    words: str


Item = Finding | Unexamined | Remark
Question = Callable[["Examination"], Iterable[Item]]


@dataclass(frozen=True)
class Disease:
    """A known way in which models go wrong on cheap chips.

    Args:
        id: short, with hyphens.
        name: a few words.
        what: one sentence: what happens and why it matters.
        needs: what it looks at, for the page of diseases.
        source: paper or manual that the reasoning stands on.
        look: asks an examination; pure.
    """

    id: str
    name: str
    what: str
    needs: str
    source: str
    look: Question


@dataclass(frozen=True)
class Case:
    """A finding with the disease it is of."""

    id: str
    name: str
    finding: Finding


@dataclass(frozen=True)
class Gap:
    """What was not examined for a disease, and why."""

    id: str
    name: str
    why: str


@dataclass(frozen=True)
class Diagnosis:
    """The answer of the doctor.

    Args:
        cases: worst first, then in the order of the diseases.
        gaps: everything that was not examined.
        remarks: of healthy organs.
        healthy: ids of the diseases that were looked for, wholly, and not found.
    """

    cases: tuple[Case, ...]
    gaps: tuple[Gap, ...]
    remarks: tuple[str, ...]
    healthy: tuple[str, ...]


__all__ = [
    "SEVERITIES",
    "Case",
    "Diagnosis",
    "Disease",
    "Evidence",
    "Finding",
    "Gap",
    "Item",
    "Remark",
    "Severity",
    "Unexamined",
]
