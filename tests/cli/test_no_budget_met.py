"""Exit code 3: nothing meets the budget, with what can be had instead."""

from __future__ import annotations

import tiny


def test_a_budget_that_nothing_meets_shows_what_can_be_had(cli, task, known, tmp_path):
    words = ("fit", task.model, "--data", task.data, "--latency", "1us", "-o", tmp_path / "out.shoe")
    said = cli(*words)
    assert said.code == 3
    assert {line.split()[1] for line in said.out.splitlines() if line[0] == "-"} == set(tiny.KNOWN_MS)
    error, hint = said.err.splitlines()[-2:]
    assert error == "error: no candidate keeps the budget"
    assert hint.startswith("  hint: to be had here: latency from ") and hint.endswith("memory from 70 MB")
    assert not any(tmp_path.iterdir())
    data = cli(*words, "--json").data
    assert data["error"] == "BudgetError"
    rows = {row["candidate"]: row for row in data["rows"]}
    assert rows.keys() == tiny.KNOWN_MS.keys()
    for row in rows.values():
        assert row["status"] == "rejected" and "is above the budget of 0.001 ms" in row["reason"]


def test_too_few_images_for_the_margin_stop_before_long_work(cli, task, known, tmp_path):
    said = cli("fit", task.model, "--data", task.data, "--max-drop", "0.5pt", "-o", tmp_path / "out.shoe")
    assert said.code == 3
    assert "error: n = 260 is too small to certify 0.5 pt; about " in said.err
    assert "give more images or a larger drop" in said.err
    assert "calibrating" not in said.err and "scoring" not in said.err
    assert not any(tmp_path.iterdir())
