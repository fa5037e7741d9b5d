"""The table of caps in docs/security.md, from the names, values and comments of `base/limits.py`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from shoestring.base import limits
from shoestring.base.units import format_bytes

SOURCE = Path(limits.__file__)
_SECTION = re.compile(r"# --- (.+?) -+$")
_MIB = 1024 * 1024


def rows() -> list[str]:
    """Lines of a Markdown table: every constant with its value and its reason."""
    lines = ["| of | cap | value | reason |", "|---|---|---|---|"]
    for section, names, reason in _constants(SOURCE.read_text()):
        values = ", ".join(_shown(name, getattr(limits, name)) for name in names)
        lines.append(f"| {section} | {', '.join(f'`{name}`' for name in names)} | {values} | {reason} |")
    return lines


def _constants(text: str) -> Iterator[tuple[str, list[str], str]]:
    """Section, names and reason of every assignment below a heading. Raises SystemExit for one without a reason."""
    lines = text.splitlines()
    headings = [(number, match[1]) for number, line in enumerate(lines, 1) if (match := _SECTION.match(line))]
    for node in ast.parse(text).body:
        if not isinstance(node, ast.Assign) or node.lineno < headings[0][0]:
            continue
        (target,) = node.targets
        names = [one.id for one in (target.elts if isinstance(target, ast.Tuple) else [target])]  # type: ignore[attr-defined]
        span = "\n".join(lines[node.lineno - 1 : node.end_lineno])
        _, mark, reason = span.rpartition("  # ")
        if not mark:
            raise SystemExit(f"{SOURCE.name}: {', '.join(names)} has no reason")
        section = [title for number, title in headings if number < node.lineno][-1]
        yield section, names, reason.splitlines()[0]


def _shown(name: str, value: float) -> str:
    if "BYTES" in name:
        whole = isinstance(value, int) and value % 1024 == 0
        return (
            f"{value // _MIB} MiB"
            if value % _MIB == 0
            else f"{value // 1024} KiB"
            if whole
            else format_bytes(int(value))
        )
    return f"{value:g} s" if "SECONDS" in name else f"{value:,}"
