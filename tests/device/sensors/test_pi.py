"""What a Raspberry Pi's firmware says: now and since boot are never confused, power is not heat."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from shoestring.device.sensors import pi
from shoestring.device.sensors.source import GarbledError

if TYPE_CHECKING:
    from pathlib import Path

ADC = """\
 3V7_WL_SW_A current(0)=0.09368929A
   3V3_SYS_A current(1)=0.08783370A
  VDD_CORE_A current(7)=6.22421000A
    LONELY_A current(9)=5.00000000A
 3V7_WL_SW_V volt(8)=3.69977600V
   3V3_SYS_V volt(9)=3.31003300V
  VDD_CORE_V volt(15)=0.86173300V
     EXT5V_V volt(24)=5.09066000V
      BATT_V volt(25)=0.00000000V
"""


def command(root: Path, script: str) -> Path:
    path = root / pi.COMMANDS[0]
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("said", "bits"), [("throttled=0x50005", 0x50005), ("50005", 0x50005), ("0", 0)])
def test_bits_are_hexadecimal_in_both_places(said: str, bits: int) -> None:
    assert pi.parse_bits(said) == bits


@pytest.mark.parametrize("said", ["", "throttled=", "none", "VCHI initialization failed"])
def test_garbled_bits(said: str) -> None:
    with pytest.raises(GarbledError):
        pi.parse_bits(said)


def test_what_has_been_never_counts_as_now() -> None:
    """Every combination of upper bits with every one of lower bits."""
    for ever, now in product(range(16), range(16)):
        bits = ever << 16 | now
        assert pi.throttled_for_heat(bits, 60.0) == pi.throttled_for_heat(now, 60.0)
        assert pi.since_boot_words(bits) == pi.since_boot_words(ever << 16)
    assert pi.since_boot_words(0b1111) == ()
    assert pi.since_boot_words(0b1001 << 16) == ("under-voltage", "soft temperature limit")


def test_a_weak_supply_that_caps_the_clock_is_not_heat() -> None:
    weak_and_capped = pi.UNDER_VOLTAGE | pi.CAPPED | pi.THROTTLED
    assert not pi.throttled_for_heat(weak_and_capped, 55.0)
    assert pi.throttled_for_heat(weak_and_capped, 81.0)
    assert pi.throttled_for_heat(weak_and_capped, None)  # it may be hot
    assert pi.throttled_for_heat(pi.CAPPED, 55.0)
    assert pi.throttled_for_heat(pi.UNDER_VOLTAGE | pi.SOFT_LIMIT, 55.0)
    assert not pi.throttled_for_heat(pi.UNDER_VOLTAGE, 90.0)


def test_rails_are_paired_by_name_and_lonely_ones_left_out() -> None:
    watts = 0.09368929 * 3.699776 + 0.0878337 * 3.310033 + 6.22421 * 0.861733
    assert pi.parse_rails(ADC) == pytest.approx(watts, rel=1e-9)


@pytest.mark.parametrize("said", ["", "error=1", "EXT5V_V volt(24)=5.1V", "X_A current(1)=1.2.3A\nX_V volt(2)=1V"])
def test_garbled_rails(said: str) -> None:
    with pytest.raises(GarbledError):
        pi.parse_rails(said)


def test_a_command_that_fails_or_hangs_is_an_error_of_the_sensor(tmp_path: Path) -> None:
    fails = command(tmp_path / "a", "echo VCHI initialization failed; exit 1")
    with pytest.raises(OSError, match="ended with 1"):
        pi.ask(fails, "get_throttled")
    hangs = command(tmp_path / "b", "exec sleep 20")
    with pytest.raises(TimeoutError):
        pi.ask(hangs, "get_throttled")


def test_only_a_pi_5_has_a_meter(tmp_path: Path) -> None:
    command(tmp_path, "echo")
    model = tmp_path / "proc/device-tree/model"
    model.parent.mkdir(parents=True)
    model.write_text("Raspberry Pi 4 Model B Rev 1.4\0")
    assert pi.pmic_source(tmp_path) is None
    model.write_text("Raspberry Pi 5 Model B Rev 1.0\0")
    assert pi.pmic_source(tmp_path) is not None


def test_the_voltage_alarm_serves_where_nothing_else_is(tmp_path: Path) -> None:
    chip = tmp_path / "sys/class/hwmon/hwmon1"
    chip.mkdir(parents=True)
    (chip / "name").write_text("rpi_volt\n")
    (chip / "in0_lcrit_alarm").write_text("1\n")
    (source,) = pi.Firmware(tmp_path).sources()
    assert (source.field, source.read()) == ("under_voltage", 1.0)
