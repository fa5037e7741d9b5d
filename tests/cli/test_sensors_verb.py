"""`shoestring sensors`: one look at this machine."""

from __future__ import annotations

import pytest

from shoestring.cli import sensors_verb


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors_verb, "SETTLE_S", 0.01)


def test_what_is_there_is_shown_and_what_is_not_is_not_a_number(cli):
    data = cli("sensors", "--json").data
    assert data["readings"]["memory_free_bytes"] > 0
    assert any(name.startswith("memory_free_bytes") for name in data["sensors"])
    said = cli("sensors")
    assert said.code == 0 and "memory_free_bytes" in said.out
    for name, value in data["readings"].items():
        if value is None:
            line = next(line for line in said.out.splitlines() if line.startswith(name))
            assert "not known" in line


def test_nonsense_is_refused(cli):
    said = cli("sensors", "--watch", "0")
    assert said.code == 2 and "--watch 0" in said.err
