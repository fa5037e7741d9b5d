"""Asks every disease the same question and sorts the answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from shoestring.diagnosis.diseases import DISEASES
from shoestring.diagnosis.examination import Examination
from shoestring.diagnosis.findings import SEVERITIES, Case, Diagnosis, Disease, Finding, Gap, Remark, Unexamined

BODIES = ("If", "Loop", "Scan")


def diagnose(examined: Examination, diseases: Sequence[Disease] = DISEASES) -> Diagnosis:
    """Every finding, everything that was not examined, and what is healthy.

    Args:
        examined: the model on the table.
        diseases: to look for.
    """
    cases: list[Case] = []
    gaps: list[Gap] = []
    remarks: list[str] = []
    healthy: list[str] = []
    for disease in diseases:
        items = list(disease.look(examined))
        for item in items:
            if isinstance(item, Finding):
                cases.append(Case(disease.id, disease.name, _finite(item)))
            elif isinstance(item, Unexamined):
                gaps.append(Gap(disease.id, disease.name, item.why))
            else:
                remarks.append(item.words)
        if all(isinstance(item, Remark) for item in items):
            healthy.append(disease.id)
    bodies = [node.name for node in examined.graph.nodes if node.op_type in BODIES]
    if bodies:
        why = (
            f"the operators inside {', '.join(bodies[:3])}{' ...' if len(bodies) > 3 else ''} (If, Loop, "
            "Scan) are not looked at"
        )
        gaps.append(Gap("all", "every disease", why))
    cases.sort(key=lambda case: SEVERITIES.index(case.finding.severity))
    return Diagnosis(tuple(cases), tuple(gaps), tuple(remarks), tuple(healthy))


def _finite(finding: Finding) -> Finding:
    """Without figures that are NaN or infinite, which no JSON holds; the words still say them."""
    evidence = tuple(
        replace(one, figures={name: value for name, value in one.figures.items() if math.isfinite(value)})
        for one in finding.evidence
    )
    return replace(finding, evidence=evidence)
