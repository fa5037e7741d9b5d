"""`shoestring fit --chip BOARD` from end to end, with the cost model as it is shipped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import tiny

if TYPE_CHECKING:
    from conftest import Cli

PI = "raspberry-pi-4b-4gb"


def test_estimates_are_marked_in_the_table_inspect_and_the_report(
    cli: Cli, task: tiny.Task, known: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "pi.shoe"
    words = ("fit", task.model, "--data", task.data, "--chip", PI, "--max-drop", "10pt", "--threads", "1")
    said = cli(*words, "-o", bundle)
    assert said.code == 0, said.err
    assert re.search(r"~[0-9.]+ ms \([0-9.e+-]+-[0-9.e+-]+, estimate\)", said.out)
    assert f"estimates for {PI}" in said.err
    looked = cli("inspect", bundle)
    assert looked.code == 0
    assert f"latency and memory are estimates for {PI}" in looked.out
    assert ", estimate)" in looked.out
    rows = cli(*words, "--json").data["rows"]
    assert all(row["estimate"]["chip"] == PI for row in rows)
    page = tmp_path / "pi.html"
    assert cli("report", bundle, "-o", page).code == 0
    assert f"estimates for {PI}" in page.read_text()


def test_no_board_keeps_a_limit_inside_the_interval(cli: Cli, task: tiny.Task, known: Path) -> None:
    words = ("fit", task.model, "--data", task.data, "--chip", PI, "--max-drop", "10pt", "--threads", "1")
    fast = min(cli(*words, "--json").data["rows"], key=lambda row: row["latency_high_ms"])
    limit = (fast["latency_low_ms"] + fast["latency_high_ms"]) / 2
    said = cli(*words, "--latency", f"{limit:.4f}ms")
    assert said.code == 3
    assert "may meet the budget" in said.out + said.err


def test_a_misspelt_board_gets_the_nearest_name(cli: Cli, task: tiny.Task, known: Path) -> None:
    said = cli("fit", task.model, "--data", task.data, "--chip", "raspberry-pi-4b-4g")
    assert said.code == 2
    assert PI in said.err
