"""`shoestring simulate`: the governor on a simulated board."""

from __future__ import annotations

from pathlib import Path

import pytest

from null_bundles import CHEAP, DEAR, make_null_bundle

PI = ("--chip", "raspberry-pi-4b-4gb", "--cooling", "bare")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "null.shoe"
    make_null_bundle(path)
    return path


def test_a_day_in_hot_air_stays_below_the_limit(cli, bundle, tmp_path):
    plot, moves = tmp_path / "day.svg", tmp_path / "moves.jsonl"
    said = cli(
        "simulate", bundle, *PI, "--ambient", 40, "--fps", 500, "--hours", 3, "--json", "--plot", plot,
        "--decisions", moves,
    )  # fmt: skip
    assert said.code == 0, said.err
    found = said.data
    assert found["answered"] > 0 and found["hours"] == pytest.approx(3.0, abs=0.01)
    assert found["limit_celsius"] == 80 and found["hottest_celsius"] <= 82
    assert sum(found["shares"].values()) == pytest.approx(1.0)
    assert plot.read_text().startswith("<?xml")
    assert cli("explain", moves).code == 0


def test_the_same_board_without_the_governor_s_limit_gets_hotter(cli, bundle):
    held = cli("simulate", bundle, *PI, "--ambient", 40, "--fps", 500, "--hours", 1, "--celsius", 65, "--json").data
    free = cli("simulate", bundle, *PI, "--ambient", 40, "--fps", 500, "--hours", 1, "--celsius", 110, "--json").data
    assert held["hottest_celsius"] <= 67 < free["hottest_celsius"]
    assert held["answered"] < free["answered"]


def test_a_battery_lasts_the_hours_asked_for(cli, bundle):
    said = cli("simulate", bundle, *PI, "--fps", 500, "--hours", 4, "--battery-wh", 9, "--json").data
    assert said["hours"] == pytest.approx(4.0, abs=0.02) and 0 < said["battery_left_wh"] < 1.5
    unasked = cli("simulate", bundle, *PI, "--fps", 500, "--hours", 4, "--battery-wh", 40, "--json").data
    assert unasked["used_wh"] > said["used_wh"]


def test_a_pinned_rung_is_the_only_one(cli, bundle):
    shares = cli("simulate", bundle, *PI, "--rung", DEAR, "--fps", 5, "--hours", 0.2, "--json").data["shares"]
    assert set(shares) <= {DEAR, "rest"} and CHEAP not in shares


def test_people_get_a_table_and_a_sentence(cli, bundle):
    said = cli("simulate", bundle, *PI, "--fps", 5, "--hours", 0.5)
    assert said.code == 0 and "examples/s" in said.out and "Raspberry Pi 4" in said.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((*PI, "--hours", "0"), "--hours 0 is outside"),
        ((), "made for no chip"),
        (("--chip", "hailo-8"), "hailo-8"),
    ],
)
def test_what_cannot_be_simulated_is_refused(cli, bundle, words, told):
    said = cli("simulate", bundle, *words)
    assert said.code == 2 and told in said.err.lower().replace("Hailo", "hailo"), said.err
