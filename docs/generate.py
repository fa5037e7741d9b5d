"""Writes docs/cli.md from the parsers, and tables in docs/native.md, doctor.md and chips.md, so that they cannot drift.

`python docs/generate.py [--check]`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import limits_table

from shoestring.chips import table
from shoestring.chips.loading import shipped_catalogue
from shoestring.cli.main import VERBS, build_parser
from shoestring.diagnosis import DISEASES
from shoestring.diagnosis.accelerators import accelerators
from shoestring.legalise.table import rows as rewrites
from shoestring.native.deliver import known_targets

COMMANDS = Path(__file__).with_name("cli.md")
NATIVE = Path(__file__).with_name("native.md")
DOCTOR = Path(__file__).with_name("doctor.md")
CHIPS = Path(__file__).with_name("chips.md")
LEGALISE = Path(__file__).with_name("legalise.md")
SECURITY = Path(__file__).with_name("security.md")
CAP_MARK = "<!-- caps: written by docs/generate.py -->"
REWRITE_MARK = "<!-- rewrites: written by docs/generate.py -->"
CHIP_MARK = "<!-- chips: written by docs/generate.py -->"
DISEASE_MARK = "<!-- diseases: written by docs/generate.py -->"
SET_MARK = "<!-- sets: written by docs/generate.py -->"
MARK = "<!-- targets: written by docs/generate.py -->"


def page() -> str:
    """The whole page: one section a verb, with the help as the command prints it."""
    parts = ["# Commands\n\nWritten by `python docs/generate.py`; do not edit.\n"]
    parts.append(
        "Exit codes: 0 done, 1 error, 2 usage or a missing extra, 3 the budget cannot be met, 4 trust failure.\n"
    )
    for verb in VERBS:
        parser = build_parser(verb)
        inner = next(action for action in parser._actions if action.dest == "verb").choices[verb]
        inner.formatter_class = lambda prog, kind=inner.formatter_class: kind(prog, width=110)
        parts.append(f"## shoestring {verb}\n\n```text\n{inner.format_help().rstrip()}\n```\n")
        for name, command in _commands(inner):
            command.formatter_class = inner.formatter_class
            parts.append(f"### shoestring {verb} {name}\n\n```text\n{command.format_help().rstrip()}\n```\n")
    return "\n".join(parts)


def _commands(parser: argparse.ArgumentParser) -> list[tuple[str, argparse.ArgumentParser]]:
    """Commands of a verb that has some."""
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [pair for action in found for pair in action.choices.items()]


def native_page() -> str:
    """The page as it is, with the table of targets between its two marks written anew."""
    before, _, after = NATIVE.read_text().split(MARK)
    heads = ("target", "also called", "for", "asks the processor for", "codes", "why it is one of its own")
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for target, boards in known_targets():
        cells = (
            f"`{target.name}`",
            ", ".join(f"`{board}`" for board in boards),
            target.title,
            ", ".join(target.isa),
            "signed" if target.signed else "unsigned",
            target.why,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return f"{before}{MARK}\n{chr(10).join(rows)}\n{MARK}{after}"


def doctor_page() -> str:
    """The page as it is, with its two tables written anew: the diseases, and the operator sets."""
    diseases = ["| disease | what happens | looks at | after |", "|---" * 4 + "|"]
    for one in DISEASES:
        diseases.append(f"| `{one.id}`: {one.name} | {one.what} | {one.needs} | {one.source} |")
    sets = ["| set | operators on 8-bit codes | others | source |", "|---" * 4 + "|"]
    for row in accelerators():
        sets.append(f"| `{row.name}`: {row.title} | {', '.join(row.operators)} | {row.outside} | {row.source} |")
    text = DOCTOR.read_text()
    for mark, rows in ((DISEASE_MARK, diseases), (SET_MARK, sets)):
        before, _, after = text.split(mark)
        lines = "\n".join(rows)
        text = f"{before}{mark}\n{lines}\n{mark}{after}"
    return text


def chips_page() -> str:
    """The page as it is, with the table of chips written anew. The user's own chips stay out of it."""
    rows = [f"| {' | '.join(table.COLUMNS)} |", "|---" * len(table.COLUMNS) + "|"]
    rows += [f"| {' | '.join(table.row(chip))} |" for chip in shipped_catalogue().values()]
    before, _, after = CHIPS.read_text().split(CHIP_MARK)
    return f"{before}{CHIP_MARK}\n{chr(10).join(rows)}\n{CHIP_MARK}{after}"


def legalise_page() -> str:
    """The page as it is, with the table of rewrites written anew."""
    rows = ["| rewrite | of | makes | same | asks for | what it is |", "|---" * 6 + "|"]
    for row in rewrites():
        made = ", ".join(row.makes)
        rows.append(f"| `{row.name}` | {row.takes} | {made} | {row.exact} | {row.needs or 'nothing'} | {row.why} |")
    before, _, after = LEGALISE.read_text().split(REWRITE_MARK)
    return f"{before}{REWRITE_MARK}\n{chr(10).join(rows)}\n{REWRITE_MARK}{after}"


def security_page() -> str:
    """The page as it is, with the table of caps written anew."""
    before, _, after = SECURITY.read_text().split(CAP_MARK)
    return f"{before}{CAP_MARK}\n{chr(10).join(limits_table.rows())}\n{CAP_MARK}{after}"


def main() -> int:
    pages = {
        COMMANDS: page(),
        NATIVE: native_page(),
        DOCTOR: doctor_page(),
        CHIPS: chips_page(),
        LEGALISE: legalise_page(),
        SECURITY: security_page(),
    }
    if "--check" in sys.argv[1:]:
        stale = [path.name for path, text in pages.items() if path.read_text() != text]
        if stale:
            print(f"{', '.join(stale)}: not what the code says; run python docs/generate.py", file=sys.stderr)
        return 1 if stale else 0
    for path, text in pages.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
