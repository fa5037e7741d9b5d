"""Where chips come from: the catalogue, the user's folder, one more file, and one file like another."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoestring.base.errors import UsageError
from shoestring.chips.loading import catalogue, chip_named, load_chip, shipped_catalogue
from shoestring.chips.published import published_rows

REQUIRED = {
    *(f"raspberry-pi-4b-{size}gb" for size in (2, 4, 8)),
    *(f"raspberry-pi-5-{size}gb" for size in (4, 8)),
    *("raspberry-pi-zero-2w", "raspberry-pi-3b-plus", "coral-dev-board", "coral-usb-accelerator"),
    *("jetson-nano-4gb", "jetson-orin-nano-8gb", "jetson-orin-nano-super-8gb"),
    *("orange-pi-5-8gb", "radxa-zero-3w-4gb", "n100-mini-pc-8gb", "hailo-8", "hailo-8l", "kria-kv260"),
    *("radxa-dragon-q6a", "esp32-s3", "stm32-nucleo-h7a3", "nvidia-l4", "google-tpu-v5e"),
}
LIKE_PI = 'like = "raspberry-pi-5-8gb"\nname = "{name}"\ntitle = "mine"\n'


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config" / "shoestring" / "chips"
    folder.mkdir(parents=True)
    return folder


def test_the_catalogue_has_every_required_chip() -> None:
    assert set(shipped_catalogue()) >= REQUIRED


def test_rows_and_hosts_are_known() -> None:
    known = {row.chip for row in published_rows()}
    chips = shipped_catalogue()
    for chip in chips.values():
        assert set(chip.rows) <= known, chip.name
        assert set(chip.host) <= set(chips), chip.name


def test_every_chip_says_which_precisions_and_runtimes() -> None:
    for chip in shipped_catalogue().values():
        assert any(one.worth for one in chip.precisions), chip.name
        assert chip.runtimes, chip.name
        assert chip.price is not None or chip.hourly is not None, chip.name


def test_precision_advice_holds_the_known_traps() -> None:
    chips = shipped_catalogue()
    worth = {(chip.name, one.engine, one.precision): one.worth for chip in chips.values() for one in chip.precisions}
    assert not worth["jetson-nano-4gb", "gpu", "int8"]
    assert not worth["coral-dev-board", "edgetpu", "fp32"]
    assert not worth["orange-pi-5-8gb", "cpu", "int8"]
    assert worth["raspberry-pi-4b-4gb", "cpu", "int8"]


def test_like_takes_the_rest_from_another_chip() -> None:
    small, base = shipped_catalogue()["raspberry-pi-4b-2gb"], shipped_catalogue()["raspberry-pi-4b-4gb"]
    assert small.memory is not None and small.memory.value == 2 * 2**30
    assert small.clusters == base.clusters
    assert small.coolings == base.coolings


def test_the_operators_of_the_edge_tpu_are_the_doctors() -> None:
    from shoestring.diagnosis.accelerators import accelerator_named

    chip = shipped_catalogue()["coral-dev-board"]
    row = accelerator_named("edge-tpu")
    assert set(chip.accelerators[0].operators) == {*row.operators, *row.absorbed}


def test_a_file_in_the_users_folder_joins(own: Path) -> None:
    (own / "mine.toml").write_text(LIKE_PI.format(name="barn-pi"))
    assert catalogue()["barn-pi"].memory == shipped_catalogue()["raspberry-pi-5-8gb"].memory
    assert "barn-pi" not in shipped_catalogue()


def test_a_taken_name_is_refused(own: Path, tmp_path: Path) -> None:
    text = LIKE_PI.format(name="raspberry-pi-5-4gb")
    extra = tmp_path / "extra.toml"
    extra.write_text(text)
    with pytest.raises(UsageError, match="'raspberry-pi-5-4gb' is taken"):
        chip_named(None, extra)
    (own / "mine.toml").write_text(text)
    with pytest.raises(UsageError, match="is taken"):
        catalogue()


def test_chip_file_is_found_with_and_without_a_name(tmp_path: Path) -> None:
    file = tmp_path / "extra.toml"
    file.write_text(LIKE_PI.format(name="barn-pi"))
    assert chip_named(None, file).name == "barn-pi"
    assert chip_named("barn-pi", file).title == "mine"
    assert chip_named("hailo-8", file).name == "hailo-8"


def test_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('like = "b"\nname = "a"\n')
    (tmp_path / "b.toml").write_text('like = "a"\nname = "b"\n')
    with pytest.raises(UsageError, match=r"circle: a\.toml -> b\.toml -> a\.toml"):
        load_chip(tmp_path / "a.toml")


def test_like_of_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('like = "c64"\nname = "a"\n')
    with pytest.raises(UsageError, match=r"a\.toml: like is 'c64'"):
        load_chip(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("wrong", "near"), [("raspbery-pi-4b-4gb", "raspberry-pi-4b-4gb"), ("Hailo8", "hailo-8"), ("nano", "jetson-nano")]
)
def test_an_unknown_name_is_answered_with_near_ones(wrong: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"chip '{wrong}'") as caught:
        chip_named(wrong)
    assert near in (caught.value.hint or "")


@pytest.mark.parametrize("text", [b"name = ", b"\xff\xfe", b"a" * 1_000_001, b"[[[[[[["])
def test_what_is_no_chip_file_is_refused(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(text)
    with pytest.raises(UsageError, match=r"x\.toml"):
        load_chip(file)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read chip file"):
        load_chip(tmp_path / "none.toml")
