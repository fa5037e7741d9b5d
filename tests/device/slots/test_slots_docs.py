"""docs/slots.md and the help texts say the figures that the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoestring.base.limits import GUARD_LOAD_SECONDS, MIB
from shoestring.cli.main import build_parser
from shoestring.device.slots.copying import MARGIN_BYTES
from shoestring.device.slots.nouns import MAX_STARTS
from shoestring.device.slots.replaying import MEMORY_FACTOR, SPARE_BYTES
from shoestring.device.slots.trial import MAX_FAULTS, TRIAL_ANSWERS, TRIAL_S

PAGE = Path(__file__).parents[3] / "docs" / "slots.md"
NUMBERS = {2: "twice", 3: "three", 10: "ten"}


@pytest.mark.parametrize(
    "words",
    [
        f"{TRIAL_ANSWERS:,} answers in a row or {TRIAL_S:.0f} seconds",
        f"engines broke {NUMBERS[MAX_FAULTS]} times",
        f"started {NUMBERS[MAX_STARTS]} times",
        f"{MARGIN_BYTES // MIB} MiB more",
        f"limits of time ({GUARD_LOAD_SECONDS:.0f} s) and memory ({NUMBERS[MEMORY_FACTOR]} what was measured",
        f"and {SPARE_BYTES // MIB} MiB)",
    ],
)
def test_the_page_says_the_limits(words: str) -> None:
    assert words in " ".join(PAGE.read_text().split())


@pytest.mark.parametrize("verb", ["run", "serve"])
def test_the_help_says_the_defaults(verb: str) -> None:
    parser = build_parser(verb)
    verbs = next(action for action in parser._actions if action.choices and verb in action.choices)
    assert isinstance(verbs.choices, dict)
    text = " ".join(verbs.choices[verb].format_help().split())
    assert f"(default: {TRIAL_ANSWERS})" in text
    assert f"(default: {TRIAL_S:.0f})" in text
