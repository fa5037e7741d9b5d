"""`shoestring chips`, as people and programs read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shoestring.chips.loading import shipped_catalogue
from shoestring.cli.main import main


@pytest.fixture(autouse=True)
def no_own_chips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_the_list_names_every_chip(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chips"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in shipped_catalogue())


def test_the_list_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chips", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(shipped_catalogue())


def test_one_chip_shows_sources_and_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chips", "show", "raspberry-pi-4b-4gb"]) == 0
    shown = capsys.readouterr().out
    assert "price: 87.25 USD" in shown
    assert "measured, 2026-07-01: github:geerlingguy/sbc-reviews issue 110" in shown


def test_one_chip_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chips", "show", "hailo-8l", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "hailo-8l"


def test_a_chip_file_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('like = "hailo-8"\nname = "mine"\n')
    assert main(["chips", "--chip-file", str(file)]) == 0
    assert "\nmine " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chips", "show", "raspbery-pi-5-8gb"], "did you mean raspberry-pi-5-8gb"),
        (["chips", "show"], "no chip was named"),
        (["chips", "hailo-8"], "shoestring chips show hailo-8"),
        (["chips", "list", "hailo-8"], "takes no name"),
    ],
)
def test_usage_errors_say_what_to_do(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err
