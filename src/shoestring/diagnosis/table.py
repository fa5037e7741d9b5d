"""A diagnosis as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.diagnosis.findings import Case, Diagnosis

SHOWN = 3  # places named for each finding; --json and --all have the rest


def render(diagnosis: Diagnosis, name: str, *, everything: bool = False) -> list[str]:
    """Findings worst first, each with evidence and cure; then what was not examined, remarks and what is healthy.

    Args:
        diagnosis: of the model.
        name: of the model.
        everything: show all evidence, not the worst places alone.
    """
    lines = [_head(diagnosis, name)]
    for case in diagnosis.cases:
        lines += ["", *_case(case, everything)]
    if diagnosis.remarks:
        lines += ["", "remarks", *(f"  {words}" for words in diagnosis.remarks)]
    if diagnosis.gaps:
        lines += ["", "not examined", *(f"  {gap.name}: {gap.why}" for gap in diagnosis.gaps)]
    if diagnosis.healthy:
        lines += ["", f"looked for and not found: {', '.join(diagnosis.healthy)}"]
    return lines


def _head(diagnosis: Diagnosis, name: str) -> str:
    if not diagnosis.cases:
        return f"{name}: no known disease was found"
    counts: dict[str, int] = {}
    for case in diagnosis.cases:
        counts[case.finding.severity] = counts.get(case.finding.severity, 0) + 1
    words = ", ".join(f"{count} {severity}" for severity, count in counts.items())
    return f"{name}: {len(diagnosis.cases)} finding(s): {words}"


def _case(case: Case, everything: bool) -> list[str]:
    finding = case.finding
    lines = [f"[{finding.severity}] {case.id}: {case.name}", f"  {finding.summary}"]
    shown = finding.evidence if everything else finding.evidence[:SHOWN]
    lines += [f"    {one.where}: {one.seen}" for one in shown]
    if len(finding.evidence) > len(shown):
        lines.append(f"    ... and {len(finding.evidence) - len(shown)} more (--all)")
    return [*lines, f"  cure: {finding.cure}"]
