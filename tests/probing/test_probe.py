"""The probe on this machine, with a suite of two nets: real figures, files that our own readers take."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from shoestring.chips.host import this_machine
from shoestring.chips.loading import load_chip
from shoestring.chips.own_rows import read_networks
from shoestring.chips.rows import read_rows
from shoestring.cli import main as cli
from shoestring.device.sensors import Reading
from shoestring.probing import Probed, nets, probe
from shoestring.probing.probe import available_bytes, core_kinds, describe_busy, describe_heat

SMALL = (lambda: nets.conv1x1(16, 8), lambda: nets.fully_connected(64))


@pytest.fixture(scope="module")
def probed() -> Probed:
    return probe("my-board", nets=SMALL)


def test_every_net_is_timed_on_every_runtime_in_both_precisions(probed: Probed) -> None:
    threads = {1, min(this_machine().cores, 16)}
    wanted = {
        (model, runtime, precision, count)
        for model in ("probe-conv1x1-16", "probe-fc-64")
        for runtime in ("onnxruntime", "native")
        for precision in ("fp32", "int8")
        for count in threads
    }
    assert {(r.model, r.runtime, r.precision, r.threads) for r in probed.rows} == wanted
    assert all(row.latency_ms is not None and 0 < row.latency_ms < 1000 for row in probed.rows)


def test_the_files_are_read_back_as_they_were_measured(probed: Probed, tmp_path: Path) -> None:
    networks = probed.save(tmp_path / "my-board.toml", tmp_path / "rows.csv")
    assert load_chip(tmp_path / "my-board.toml") == probed.chip
    assert read_rows(tmp_path / "rows.csv") == probed.rows
    assert read_networks(networks) == probed.networks
    assert {(row.model, row.input) for row in probed.rows} == set(probed.networks)
    assert probed.chip.rows == ("my-board",) == tuple({row.chip for row in probed.rows})


def test_counts_are_those_of_the_layers(probed: Probed) -> None:
    found = probed.networks["probe-conv1x1-16", "8x8x16"]
    assert (found.conv1x1_macs, found.macs) == (4 * 16 * 16 * 64, 4 * 16 * 16 * 64)
    assert next(f.fc_macs for (name, _), f in probed.networks.items() if name == "probe-fc-64") == 3 * 64 * 64


def test_the_chip_is_what_the_meter_said(probed: Probed) -> None:
    chip = probed.chip
    best = max(one.rate for one in probed.speeds if one.kind == "copy")
    assert chip.bandwidth is not None and math.isclose(chip.bandwidth.value, best / 1e9, rel_tol=1e-3)
    assert chip.cores == this_machine().cores
    assert {peak.precision for peak in chip.peaks} >= {"fp32", "int8"}
    assert {chip.bandwidth.status, chip.peaks[0].rate.status} == {"measured"}
    assert chip.price is None and chip.coolings == ()


def test_a_probe_without_a_compiler_says_so_and_measures_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("shoestring.native.build.importlib.util.find_spec", lambda _: None)
    found = probe(nets=SMALL[:1], runtimes=["onnxruntime", "native"])
    assert any("no C compiler" in note for note in found.notes)
    assert {row.runtime for row in found.rows} == {"onnxruntime"}
    assert {one.kind for one in found.speeds} == {"copy", "fp32"}
    assert all("numpy" in one.method for one in found.speeds)


def test_a_probe_whose_time_is_up_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = sys.modules["shoestring.probing.probe"]  # the package's name `probe` is the function
    monkeypatch.setattr(inside, "COMPILE_SECONDS", -1.0)
    monkeypatch.setattr(inside, "ALL_SECONDS", -1.0)
    found = probe(nets=SMALL[:1])
    assert found.rows == () and found.chip.rows == ()
    assert sum("time was up" in note for note in found.notes) == 2


def test_the_verb_refuses_a_name_that_no_chip_may_have(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["probe", "-o", "My Board.toml", "--json"]) == 2
    assert "cannot name a chip file" in json.loads(capsys.readouterr().out)["message"]


def test_the_verb_refuses_an_unknown_runtime(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["probe", "--runtimes", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_cores_of_two_kinds_are_told_apart() -> None:
    one = "processor\t: {}\nCPU implementer\t: 0x41\nCPU part\t: {}\n"
    text = "\n".join(one.format(i, "0xd05" if i < 4 else "0xd0b") for i in range(8)) + "\nHardware\t: x\n"
    assert core_kinds(text, "?") == ("Cortex-A55",) * 4 + ("Cortex-A76",) * 4
    assert core_kinds("processor\t: 0\nmodel name\t: N100\n\n", "N100") == ("N100",)
    intel = "processor\t: 0\nvendor_id\t: {}\ncpu family\t: 6\nmodel\t\t: 190\nmodel name\t: x\n"
    assert core_kinds(intel.format("GenuineIntel"), "?") == ("Gracemont",)
    assert core_kinds(intel.format("Other"), "?") == ("?",)


def test_sensors_that_are_absent_say_nothing() -> None:
    nothing = Reading(None, None, None, None)
    warm, hot = Reading(40.0, None, None, None), Reading(61.5, None, None, None)
    assert describe_heat(nothing, nothing, None, None) is None
    assert describe_heat(warm, nothing, None, 3.0) is None
    assert describe_heat(warm, hot, None, None) == "40.0 C at rest, 61.5 C after the load of the probe"


def test_a_busy_machine_is_told() -> None:
    assert describe_busy("0.40 0.1 0.1 1/100 7", 2) is None
    assert "load 3.00 on 2 cores" in str(describe_busy("3.00 0.1 0.1 1/100 7", 2))


def test_available_memory() -> None:
    assert available_bytes("MemTotal: 9 kB\nMemAvailable:    5 kB\n") == 5 * 1024
