"""Own rows come back as they were written; a broken file is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoestring.base.errors import UsageError
from shoestring.chips.own_rows import ROW_COLUMNS, read_networks, read_rows, write_networks, write_rows
from shoestring.chips.published import published_networks, published_rows


def test_published_rows_survive(tmp_path: Path) -> None:
    rows = published_rows()[::50]
    write_rows(tmp_path / "rows.csv", rows)
    assert read_rows(tmp_path / "rows.csv") == rows


def test_published_networks_survive(tmp_path: Path) -> None:
    write_networks(tmp_path / "networks.csv", published_networks())
    assert read_networks(tmp_path / "networks.csv") == published_networks()


def line(**changed: str) -> str:
    cells = dict.fromkeys(ROW_COLUMNS, "")
    cells |= {"chip": "c", "model": "m", "input": "i", "runtime": "r", "device": "cpu", "precision": "fp32"}
    return ",".join({**cells, **changed}.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("chip,model\na,b\n", "lacks the columns"),
        (f"{','.join(ROW_COLUMNS)}\n{line(latency_ms='-1')}\n", "line 2: latency_ms is '-1'"),
        (f"{','.join(ROW_COLUMNS)}\n{line(latency_ms='nan')}\n", "latency_ms is 'nan'"),
        (f"{','.join(ROW_COLUMNS)}\n{line(threads='1.5')}\n", "threads is '1.5'"),
        (f"{','.join(ROW_COLUMNS)}\n{line(chip='')}\n", "chip is empty"),
        (f"{','.join(ROW_COLUMNS)}\na,b\n", "fewer cells"),
        (f"{','.join(ROW_COLUMNS)}\n{line()},more\n", "more or fewer"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        read_rows(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_rows(tmp_path / "none.csv")
