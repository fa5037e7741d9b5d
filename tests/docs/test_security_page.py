"""The page about security names what is there: every test it points to, every cap, and each with a reason."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from shoestring.base import limits

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))
PAGE = (ROOT / "docs/security.md").read_text()


def named() -> list[str]:
    """Paths of tests on the page; a bare file name stands in the folder of the one before it."""
    found, folder = [], ""
    for path in re.findall(r"`((?:tests/)?[\w/]*(?:test_)?\w+(?:\.py)?)`", PAGE):
        if path.startswith("tests/"):
            folder = path.rpartition("/")[0]
            found.append(path)
        elif path.startswith("test_") and path.endswith(".py"):
            found.append(f"{folder}/{path}")
    return found


def test_tests_that_the_page_points_to_exist() -> None:
    assert len(named()) > 15
    assert [path for path in named() if not (ROOT / path).exists()] == []


def test_every_cap_stands_on_the_page_with_its_reason() -> None:
    caps = [name for name in vars(limits) if name.isupper() and name not in ("MIB", "GIB")]
    assert len(caps) > 30
    assert [name for name in caps if f"`{name}`" not in PAGE] == []
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "`MAX_" in line]
    assert all(len(row.rstrip(" |").rpartition("| ")[2]) > 10 for row in rows)


def test_a_cap_without_a_reason_is_refused() -> None:
    """The saboteur: a number that somebody liked."""
    import limits_table

    text = "# --- models ----\nMAX_A = 5  # a reason\nMAX_B = 6\n"
    with pytest.raises(SystemExit, match="MAX_B has no reason"):
        list(limits_table._constants(text))
