"""A chat over a null writer in a process of its own, for tests that type into a terminal.

python tests/chatting.py [--json]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from null_writers import NullWriter
from shoestring.cli.chat_verb import Session
from shoestring.device.language.garage import Garage
from shoestring.device.language.nouns import Options
from shoestring.device.language.talk import Talk

RUNGS = ("small", "large")


def main() -> None:
    garage = Garage(lambda rung: NullWriter(rung, seconds=0.02), {})
    session = Session(RUNGS, garage, "small", Talk("be kind", Options()), as_json="--json" in sys.argv)
    if sys.stdin.isatty():
        session.converse()
    else:
        session.answer_lines()


if __name__ == "__main__":
    main()
