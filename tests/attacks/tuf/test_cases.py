"""Every attack of the catalogue: the device tells what it is, keeps serving what it had, and trusts nothing older."""

from __future__ import annotations

from pathlib import Path

import pytest

from repository_cases import ATTACKS, Case, read_cases, run_case

CASES = read_cases(Path(__file__).parent / "cases")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_attack_fails(case: Case, tmp_path: Path) -> None:
    assert run_case(case, tmp_path) == []


def test_the_catalogue_is_whole() -> None:
    assert len(CASES) >= 80
    page = Path(__file__).parents[3] / "docs" / "repository.md"
    assert f"\n{len(CASES)} attacks stand as data" in page.read_text()
    assert {case.attack for case in CASES} == set(ATTACKS)
    assert len({case.reason for case in CASES}) == len(CASES), "each case says what it alone shows"
    assert all(case.name.rpartition("-")[0] == case.attack.replace(" ", "-") for case in CASES)
