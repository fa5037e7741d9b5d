"""Writes docs/cli.md from the parsers, so that it cannot drift. `python docs/generate.py [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

from shoestring.cli.main import VERBS, build_parser

TARGET = Path(__file__).with_name("cli.md")


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
    return "\n".join(parts)


def main() -> int:
    if "--check" in sys.argv[1:]:
        if TARGET.read_text() == page():
            return 0
        print(f"{TARGET.name} is not what the parsers say; run python docs/generate.py", file=sys.stderr)
        return 1
    TARGET.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
