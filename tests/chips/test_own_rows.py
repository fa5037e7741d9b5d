"""Own rows and networks come back as they were written; a broken file is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoestring.base.errors import DataError
from shoestring.chips.own_rows import (
    NETWORK_COLUMNS,
    networks_beside,
    networks_path,
    read_networks,
    write_networks,
    write_rows,
)
from shoestring.chips.published import published_networks, published_rows
from shoestring.chips.rows import read_rows


def test_published_rows_survive(tmp_path: Path) -> None:
    rows = tuple(row for row in published_rows() if row.input)[::50]
    write_rows(tmp_path / "rows.csv", rows)
    assert read_rows(tmp_path / "rows.csv") == rows


def test_published_networks_survive(tmp_path: Path) -> None:
    assert networks_beside(tmp_path / "rows.csv") == {}
    write_networks(networks_path(tmp_path / "rows.csv"), published_networks())
    assert networks_beside(tmp_path / "rows.csv") == published_networks()


HEAD = ",".join(NETWORK_COLUMNS)
REST = ",1" * (len(NETWORK_COLUMNS) - 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model,input\na,b\n", "lacks the columns"),
        (f"{HEAD}\nm,i,-1{REST}\n", "line 2: conv3x3_macs is '-1'"),
        (f"{HEAD}\nm,i,1.5{REST}\n", "conv3x3_macs is '1.5'"),
        (f"{HEAD}\nm,i,{REST}\n", "line 2"),
        (f"{HEAD}\nm,i\n", "fewer cells"),
        (f"{HEAD}\nm,i,1{REST},more\n", "more or fewer"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "networks.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_networks(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_networks(tmp_path / "none.csv")
