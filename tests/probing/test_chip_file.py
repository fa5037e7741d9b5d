"""The TOML text holds any words, and figures that break a rule of the catalogue do not pass its reader."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from shoestring.base.errors import UsageError
from shoestring.chips.loading import load_chip
from shoestring.domain.chip import Chip
from shoestring.domain.cost import Machine
from shoestring.domain.measured import Row
from shoestring.probing.chip_file import Look, chip_name, chip_text, clock_ghz, describe_chip
from shoestring.probing.peaks import Speed, block_bytes

MACHINE = Machine('An "odd" \\ name\x7f\n', "x86_64", ("avx2",), 4, 4 << 30, "Linux")
LOOK = Look(("A", "A", "B", "B"), (1.5, 1.5, None, None), 3 << 30, 2.0, 5.5, None)
SPEEDS = (
    Speed("copy", 1, 4e9, "memcpy"),
    Speed("copy", 4, 6e9, "memcpy"),
    Speed("cycles", 4, 8e9, "sums"),
    Speed("cycles", 1, 2.4e9, "sums"),
    Speed("int8", 4, 9e10, "dots"),
)


def row(precision: str, ms: float, runtime: str = "native") -> Row:
    where = ("board", "net", "8x8x3", runtime, "cpu", precision, 1, ms)
    return Row(*where, None, None, None, None, "1", "2026-11-30", "", "", "s")


def chip(look: Look = LOOK, rows: tuple[Row, ...] = ()) -> Chip:
    return describe_chip("board", MACHINE, look, SPEEDS, rows, "2026-11-30")


def test_any_text_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_text(chip_text(chip()))
    assert load_chip(path) == chip()
    assert tomllib.loads(path.read_text())["soc"] == MACHINE.name


def test_clusters_and_clocks() -> None:
    first, second = chip().clusters
    assert (first.core, first.count, first.clock.value) == ("A", 2, 1.5)
    assert (second.core, second.count, second.clock.value) == ("B", 2, 2.4)
    assert clock_ghz(()) is None


def test_the_best_thread_count_gives_the_figure() -> None:
    bandwidth = chip().bandwidth
    assert bandwidth is not None and (bandwidth.value, bandwidth.note) == (6.0, "4 thread(s), memcpy")


def test_power_is_left_out_where_a_sensor_is_absent_or_made_no_sense() -> None:
    assert chip().power is not None
    assert chip(replace(LOOK, idle_watts=None)).power is None
    assert chip(replace(LOOK, load_watts=1.0)).power is None


def test_int8_is_worth_it_where_some_runtime_gains() -> None:
    slow = chip(rows=(row("fp32", 1.0), row("int8", 1.2)))
    fast = chip(rows=(row("fp32", 1.0), row("int8", 1.2), row("fp32", 4.0, "ort"), row("int8", 2.0, "ort")))
    assert (slow.precisions[0].worth, fast.precisions[0].worth) == (False, True)
    assert "0.83x on native, 2.00x on ort" in fast.precisions[0].why.value


def test_a_tampered_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_text(chip_text(chip()).replace('unit = "GB/s"', 'unit = "GiB/s"'))
    with pytest.raises(UsageError, match="bandwidth"):
        load_chip(path)


@pytest.mark.parametrize(
    ("words", "name"),
    [("Raspberry Pi 4 (Cortex-A72)", "raspberry-pi-4-cortex-a72"), ("", "this-machine"), ("é" * 99, "this-machine")],
)
def test_names(words: str, name: str) -> None:
    assert chip_name(words) == name


def test_two_blocks_fit_a_small_board() -> None:
    assert block_bytes(512 << 20) == 32 << 20
    assert block_bytes(64 << 30) == 64 << 20
