"""Say in words what the governor did and why, and decide every move again: a line that was changed is found."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "shoestring explain decisions.jsonl"


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("journal", type=Path, help="as `run` and `serve` write it with --decisions")


def run(arguments: argparse.Namespace) -> int:
    from shoestring.base.errors import TrustError
    from shoestring.cli import console
    from shoestring.device.governor.explain import explain

    found = explain(arguments.journal)
    if arguments.json:
        console.show_json(
            {
                "lines": found.lines,
                "by_reason": dict(found.by_reason),
                "hours": dict(found.hours),
                "moves": found.counted,
                "problems": found.replayed.problems,
                "notes": found.replayed.notes,
            }
        )
    else:
        for line in found.lines:
            print(line)
        reasons = ", ".join(f"{reason} {count}" for reason, count in found.by_reason)
        hours = ", ".join(f"{rung} {hours:.2f} h" for rung, hours in found.hours)
        console.say(f"{found.counted} moves of the rung or of the rate by a tenth; by reason: {reasons}; ran: {hours}")
        for note in found.replayed.notes:
            console.say(f"note: {note}")
    if found.replayed.problems:
        raise TrustError("; ".join(found.replayed.problems), hint="the journal is not what the governor wrote")
    if not arguments.json:
        console.say("every move was decided again and came out the same")
    return 0
