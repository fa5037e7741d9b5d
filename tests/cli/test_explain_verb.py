"""`shoestring explain` finds a journal that was changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from null_bundles import make_null_bundle


@pytest.fixture
def journal(cli, tmp_path: Path) -> Path:
    bundle, path = tmp_path / "null.shoe", tmp_path / "moves.jsonl"
    make_null_bundle(bundle)
    board = ("--chip", "raspberry-pi-4b-4gb", "--cooling", "bare", "--ambient", 27, "--swing", 10)
    words = (*board, "--fps", 2000, "--celsius", 56, "--hours", 10)
    assert cli("simulate", bundle, *words, "--decisions", path).code == 0
    return path


def test_a_journal_is_told_and_replayed(cli, journal):
    said = cli("explain", journal, "--json")
    assert said.code == 0 and len(said.data["lines"]) > 1 and said.data["problems"] == []
    assert said.data["by_reason"]["start"] == 1


def test_a_changed_line_is_found(cli, journal):
    text = journal.read_text()
    assert '"reason":"start"' in text
    journal.write_text(text.replace('"reason":"start"', '"reason":"climb"', 1))
    said = cli("explain", journal)
    assert said.code == 4 and "line" in said.err


def test_a_lost_line_is_found(cli, journal):
    lines = journal.read_text().splitlines(keepends=True)
    assert len(lines) > 4
    journal.write_text("".join(lines[:2] + lines[3:]))
    assert cli("explain", journal).code == 4


def test_no_journal_is_named(cli, tmp_path):
    said = cli("explain", tmp_path / "none.jsonl")
    assert said.code == 1 and "none.jsonl" in said.err
