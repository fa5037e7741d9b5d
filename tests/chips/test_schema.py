"""Each rule refuses the file that breaks it, and names file, key and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoestring.base.errors import UsageError
from shoestring.chips.loading import load_chip

SAID = 'source = "a page", date = "2026-11-02", status = "measured"'


def figure(value: float | str, unit: str, said: str = SAID) -> str:
    return f'{{ value = {value}, unit = "{unit}", {said} }}'


COOLING = f"""{{ kind = "fan", resistance = {figure(9, "K/W")}, slow = {figure(60, "s")}, fast = {figure(6, "s")},
fast_share = {figure(0.3, "1")}, steps = [STEPS] }}""".replace("\n", " ")


def step(on: float, resistance: float) -> str:
    return f"{{ on = {figure(on, 'C')}, resistance = {figure(resistance, 'K/W')} }}"


def throttle(*steps: tuple[float, float]) -> str:
    return "[" + ", ".join(f"{{ at = {figure(at, 'C')}, clock = {figure(clock, '1')} }}" for at, clock in steps) + "]"


def written(folder: Path, text: str) -> Path:
    """A file that is good but for `text`."""
    file = folder / "mine.toml"
    name = "" if text.startswith("name") else 'name = "mine"\n'
    file.write_text(f'like = "raspberry-pi-5-8gb"\n{name}{text}\n')
    return file


GOOD = [
    f"price = {figure(95, 'USD')}",
    f"ambient_low = {figure(-40, 'C')}",
    f"ambient_low = {figure(0, 'C')}",
    f"coolings = [{COOLING.replace('STEPS', step(50, 4) + ', ' + step(60, 3))}]",
    f"throttle = {throttle((80, 0.8), (85, 0.5))}",
]
NO_SOURCE = '{ value = 95, unit = "USD", date = "2026-11-02", status = "measured" }'
BAD = [
    (f"price = {NO_SOURCE}", "price has no source"),
    (f"power = {{ idle = {NO_SOURCE}, load = {figure(5, 'W')} }}", "power.idle has no source"),
    (f"price = {figure(95, 'USD', SAID.replace('a page', ' '))}", "price.source"),
    (f"price = {figure(95, 'USD', SAID.replace('measured', 'hoped'))}", "price.status is 'hoped'"),
    (f"price = {figure(95, 'USD', SAID.replace('2026-11-02', '2026-13-02'))}", "price.date is '2026-13-02'"),
    (f"price = {figure(95, 'USD', SAID.replace('2026-11-02', 'today'))}", "price.date is 'today'"),
    (f"price = {figure(95, 'EUR')}", "price.unit is 'EUR'"),
    (f"price = {figure(0, 'USD')}", "price.value is '0'"),
    (f"bandwidth = {figure(-1, 'GB/s')}", "bandwidth.value is '-1'"),
    (f"bandwidth = {figure('inf', 'GB/s')}", "bandwidth.value is 'inf'"),
    (f"bandwidth = {figure('nan', 'GB/s')}", "bandwidth.value is 'nan'"),
    (f"bandwidth = {figure(chr(34) + '6' + chr(34), 'GB/s')}", "bandwidth"),
    (f"ambient_high = {figure(900, 'C')}", "ambient_high.value is '900'"),
    (f"ambient_low = {figure(60, 'C')}", "ambient_low is '60'; below ambient_high"),
    (f"usable = {figure(2**40, 'bytes')}", "usable is .*below memory"),
    (f"power = {{ idle = {figure(9, 'W')}, load = {figure(5, 'W')} }}", "power.idle is '9'; below power.load"),
    (f"coolings = [{COOLING.replace('STEPS', step(60, 4) + ', ' + step(50, 3))}]", "steps.1.on is '50'"),
    (f"coolings = [{COOLING.replace('STEPS', step(50, 3) + ', ' + step(60, 4))}]", "steps.1.resistance is '4'"),
    (f"coolings = [{COOLING.replace('fan', 'bare').replace('STEPS', step(50, 3))}]", "only a fan has steps"),
    (f"coolings = [{COOLING.replace('fan', 'ice').replace('STEPS', '')}]", "kind is 'ice'"),
    (f"coolings = [{COOLING.replace('value = 6,', 'value = 70,').replace('STEPS', '')}]", "fast is '70'; below slow"),
    (f"coolings = [{COOLING.replace('value = 0.3', 'value = 1.3').replace('STEPS', '')}]", "fast_share.value is '1.3'"),
    (f"coolings = [{', '.join([COOLING.replace('STEPS', '')] * 2)}]", "coolings.1 is 'fan'; each stands there once"),
    (f"throttle = {throttle((85, 0.8), (80, 0.5))}", "throttle.1.at is '80'"),
    (f"throttle = {throttle((80, 0.5), (85, 0.8))}", "throttle.1.clock is '0.8'"),
    ('kind = "toaster"', "kind is 'toaster'; one of board"),
    ('isa = ["asimd", "sve9"]', "isa.1 is 'sve9'"),
    (f'peaks = [{{ engine = "cpu", precision = "fp8", rate = {figure(1, "Gop/s")} }}]', "precision is 'fp8'"),
    (f'peaks = [{{ engine = "brain", precision = "fp16", rate = {figure(1, "Gop/s")} }}]', "engine is 'brain'"),
    (f'clusters = [{{ core = "x", count = 0, clock = {figure(1, "GHz")} }}]', "clusters.0.count is '0'"),
    ("clusters = []", "a board names both"),
    ('kind = "accelerator"', "an accelerator names the chips"),
    ('colour = "green"', "unknown key 'colour'"),
    ('accelerators = [{ engine = "npu", title = "x", operators = "magic" }]', "operators 'magic' is no published list"),
    ('name = "My Pi"', "name is 'My Pi'"),
    ('title = " "', "title is ''"),
]


@pytest.mark.parametrize("text", GOOD)
def test_a_good_file_loads(tmp_path: Path, text: str) -> None:
    assert load_chip(written(tmp_path, text)).name == "mine"


@pytest.mark.parametrize(("text", "words"), BAD)
def test_a_broken_rule_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"mine.toml.*{words}") as caught:
        load_chip(written(tmp_path, text))
    assert caught.value.hint


def test_a_host_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    from shoestring.chips.loading import chip_named

    with pytest.raises(UsageError, match="host 'abacus' is not in the catalogue"):
        chip_named(None, written(tmp_path, 'kind = "accelerator"\nhost = ["abacus"]'))
