"""`shoestring prove`: what it prints, what the bundle then says of itself, and how it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import own_board
import tiny

if TYPE_CHECKING:
    from conftest import Cli

N = 20


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_board.write_chip_file(tmp_path_factory.mktemp("chips"))


def test_a_proof_is_kept_and_shown(cli: Cli, measured: Path, task: tiny.Task, here: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(measured, tmp_path))
    words = ("prove", copy, "--board", own_board.NAME, "--chip-file", here, "--data", task.data, "-n", N)
    said = cli(*words)
    assert said.code == 0, said.err
    assert f"was also checked on {own_board.NAME}" in said.out
    assert f"{N} of {N} first answers are the workshop's; at 95% confidence at most" in said.out
    assert f"wrote {copy}" in said.err
    inspected = cli("inspect", copy)
    assert f"was also checked on {own_board.NAME}" in inspected.out
    assert cli("inspect", copy, "--json").data["proofs"][0]["counts"]["same"] == N
    assert cli("report", copy, "-o", tmp_path / "page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert "Also checked on other instruction sets" in page
    assert "Warning" not in page
    assert "Also checked" not in (
        cli("report", measured, "-o", tmp_path / "b.html") and (tmp_path / "b.html").read_text()
    )


def test_json_holds_the_counts(cli: Cli, measured: Path, task: tiny.Task, here: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.shoe"
    words = ("prove", measured, "--board", own_board.NAME, "--chip-file", here, "--data", task.data, "-n", 3, "-o", out)
    data = cli(*words, "--json").data
    assert (data["counts"]["n"], data["counts"]["same"], data["counts"]["emulator"]) == (3, 3, "")
    assert data["bundle"] == str(out)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (("--board", "unknown-board"), 2, "unknown-board"),
        (("--rung", "unknown"), 2, "there is no rung 'unknown'"),
        (("-n", "0"), 2, "-n 0 is outside 1.."),
        (("--data", "nowhere"), 1, "nowhere"),
    ],
)
def test_refusals(
    cli: Cli,
    measured: Path,
    task: tiny.Task,
    here: Path,
    tmp_path: Path,
    change: tuple[str, str],
    code: int,
    words: str,
) -> None:
    out = tmp_path / "b.shoe"
    given = {"--board": own_board.NAME, "--data": str(task.data), "--chip-file": str(here), "-o": str(out)}
    if change[0] == "--board":
        del given["--chip-file"]
    said = cli("prove", measured, *(word for pair in (given | dict([change])).items() for word in pair))
    assert said.code == code
    assert words in said.err
    assert not out.exists()
